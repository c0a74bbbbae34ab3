import { errors, types } from 'cassandra-driver';
import { StoreError, type StoreErrorCode } from '../../domain/errors.ts';

// Codes of https://cassandra.apache.org/doc/latest/cassandra/reference/native-protocol.html, ERROR.
const codes = types.responseErrorCodes;
const CODES: Readonly<Record<number, StoreErrorCode>> = {
  [codes.overloaded]: 'throttled',
  [codes.writeTimeout]: 'timeout',
  [codes.readTimeout]: 'timeout',
  [codes.syntaxError]: 'unsupported',
  [codes.unauthorized]: 'unsupported',
  [codes.configError]: 'unsupported',
  [codes.invalid]: 'invalid',
};
/** A lightweight transaction of which not enough replicas said how it went: protocol 5. */
const CAS_WRITE_UNKNOWN = 0x1700;

const codeOf = (error: unknown): StoreErrorCode => {
  if (error instanceof errors.ResponseError) {
    // A table that is not there is an invalid request, as is a value that is too large.
    if (error.code === codes.invalid && /does not exist|unconfigured|[Uu]ndefined|[Uu]nknown/.test(error.message)) {
      return 'unsupported';
    }
    return error.code === CAS_WRITE_UNKNOWN ? 'timeout' : (CODES[error.code] ?? 'unavailable');
  }
  if (error instanceof errors.OperationTimedOutError) return 'timeout';
  if (error instanceof errors.BusyConnectionError) return 'throttled';
  if (error instanceof errors.NoHostAvailableError) {
    const [reason, ...others] = new Set(Object.values(error.innerErrors ?? {}).map(codeOf));
    return reason !== undefined && others.length === 0 ? reason : 'unavailable';
  }
  return 'unavailable';
};

/** What Cassandra or its driver threw, as a StoreError. */
export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const code = codeOf(cause);
  const words = {
    unavailable: 'Cassandra cannot be reached',
    timeout: 'Cassandra did not answer in time, or too few of its replicas did',
    throttled: 'Cassandra asks to slow down',
    invalid: 'Cassandra refused a value',
    unsupported: 'Cassandra refused the request: is the schema there, and may the user use it?',
    conflict: 'Cassandra refused the write',
  } as const;
  return new StoreError(code, words[code], { cause });
}

const isResponse = (error: unknown): error is errors.ResponseError => error instanceof errors.ResponseError;
const isTimeout = (error: unknown) => error instanceof errors.OperationTimedOutError;
/** No connection was left to send it on, for another reason than that too much is sent. */
const isNowhere = (error: unknown) =>
  (error instanceof errors.NoHostAvailableError && codeOf(error) !== 'throttled') ||
  // What the driver throws when a statement is to be prepared on a node to which it has no connection just then.
  (error instanceof Error && error.message === 'No connection available');
const isCut = (error: unknown) =>
  !isResponse(error) &&
  !isTimeout(error) &&
  error instanceof errors.DriverError &&
  !(error instanceof errors.NoHostAvailableError);

/** Whether a request that failed like this may have been carried out nevertheless. */
export const isAmbiguous = (error: unknown): boolean =>
  isResponse(error)
    ? [codes.writeTimeout, codes.readTimeout, codes.writeFailure, codes.readFailure, CAS_WRITE_UNKNOWN].includes(
        error.code,
      )
    : isTimeout(error) || isCut(error);

/** What to do about a lost connection, if that is why a request failed; `isRested`: none was used for a while. */
export function remedyFor(error: unknown, isRested: boolean): 'repeat' | 'renew' | undefined {
  if (isNowhere(error) || (isRested && isTimeout(error))) return 'renew';
  return isCut(error) ? 'repeat' : undefined;
}
