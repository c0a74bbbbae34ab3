import { StoreError } from '../../functions/domain/errors.ts';

/** What went wrong, for a person: of a store's failure its cause too. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  return error instanceof StoreError && cause instanceof Error ? `${message}: ${explain(cause)}` : message;
}
