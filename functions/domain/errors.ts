/**
 * Why a store could not do what it was asked to.
 *
 * - `unavailable` the engine cannot be reached or refuses connections
 * - `timeout`     no answer in time: the write may have happened, repeat it with the same attempt
 * - `throttled`   the engine asks to slow down
 * - `conflict`    the digest is stored already, by another attempt
 * - `invalid`     the engine refused a value
 * - `unsupported` the engine cannot do this
 */
export type StoreErrorCode = 'unavailable' | 'timeout' | 'throttled' | 'conflict' | 'invalid' | 'unsupported';

/** A store's failure. An absent token is never one of these: absence is a value (`unknown`). */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  /** Whether the same call, with the same attempt, may succeed later. */
  readonly retryable: boolean;

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retryable = code === 'unavailable' || code === 'timeout' || code === 'throttled';
  }
}

/** Bad input to the domain: names the field, the kind of value that was found (never the value) and what is accepted. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly field: string;

  constructor(field: string, found: string, accepted: string) {
    super(`${field} is ${found}; accepted: ${accepted}`);
    this.field = field;
  }
}
