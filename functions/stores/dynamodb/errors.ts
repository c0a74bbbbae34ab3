import { StoreError, type StoreErrorCode } from '../../domain/errors.ts';

// Names of https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html, and of the SDK.
const CODES: Record<string, StoreErrorCode> = {
  ProvisionedThroughputExceededException: 'throttled',
  ThrottlingException: 'throttled',
  RequestLimitExceeded: 'throttled',
  // Somebody's transaction on the item, or another Region's write: nothing was done, try again.
  TransactionConflictException: 'throttled',
  ReplicatedWriteConflictException: 'throttled',
  ItemCollectionSizeLimitExceededException: 'invalid',
  ValidationException: 'invalid', // an item of more than 400 kB too
  ResourceNotFoundException: 'unsupported',
  AccessDeniedException: 'unsupported',
  TimeoutError: 'timeout',
  AbortError: 'timeout',
};

/** What DynamoDB or its SDK threw, as a StoreError. */
export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const { name = '' } = cause as { name?: string };
  const code = CODES[name] ?? 'unavailable';
  const words = code === 'unavailable' ? 'DynamoDB cannot be reached' : 'DynamoDB refused or did not answer';
  return new StoreError(code, `${words}: ${name}`, { cause });
}

export async function coded<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw storeError(error);
  }
}
