import { StoreError } from '../../functions/domain/errors.ts';

/** What went wrong, for a person: of a store's failure its cause too, of which some drivers tell the stack as well. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  if (!(error instanceof StoreError && cause instanceof Error)) return message;
  const [reason] = explain(cause).split('\n', 1);
  return `${message}: ${reason}`;
}
