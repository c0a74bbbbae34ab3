import { StoreError } from '../domain/errors.ts';
import type { Row } from './sql-dialect.ts';

// What the statements bind, each name with one type, always the same: then every call of a statement shares one plan, and no
// column is converted to be compared, which would scan its index (Data type precedence, in Microsoft's reference of
// Transact-SQL). Texts are bound as the bytes that are stored.

/** `text` is UTF-8; a fixed length is of BINARY, a longest one of VARBINARY. */
export type ParameterType =
  | { readonly type: 'bigint' | 'bit' }
  | { readonly type: 'binary' | 'varbinary' | 'text'; readonly length: number };

const bigint = { type: 'bigint' } as const;
const bit = { type: 'bit' } as const;
const binary = (length: number) => ({ type: 'binary', length }) as const;
const varbinary = (length: number) => ({ type: 'varbinary', length }) as const;
const text = (length: number) => ({ type: 'text', length }) as const;

/** Beyond 8000 bytes the driver declares VARBINARY(MAX). */
const MAX = 65_535;
/** Texts are bound longer than any column: one that is too long is found nowhere, and refused where it would be stored. */
const LONGEST = 8000;

export const parameters: Readonly<Record<string, ParameterType>> = {
  grantId: binary(12),
  clientId: text(LONGEST),
  subject: text(LONGEST),
  applicationId: text(LONGEST),
  consentId: text(LONGEST),
  createdAt: bigint,
  expiresAt: bigint,
  retainUntil: bigint,
  data: varbinary(MAX),
  refreshSender: binary(32),
  refreshDigest: binary(32),
  refreshExpiresAt: bigint,
  refreshIdleExpiresAt: bigint,
  refreshForeign: bit,
  accessDigest: binary(16),
  accessIssuedAt: bigint,
  accessExpiresAt: bigint,
  accessForeign: bit,
  accessData: varbinary(MAX),
  digest: varbinary(32), // 16 bytes of an access token, 32 of all else
  attempt: binary(16),
  sender: binary(32),
  sealed: varbinary(MAX),
  graceSeconds: bigint,
  now: bigint,
  nowMs: bigint,
  authorizedAtMs: bigint,
  selector: binary(32),
  selectors: varbinary(480), // one after the other
  afterMinute: bigint,
  afterId: varbinary(32), // empty at the start
  limit: bigint,
  most: bigint,
  binding: binary(32),
  kind: text(LONGEST),
  id: varbinary(32),
  uid: varbinary(32),
  userCode: varbinary(32),
  key: text(LONGEST), // of an artifact bytes, of a token received from others a text
};

/** The columns that hold texts. */
const TEXTS = new Set(['client_id', 'subject', 'application_id', 'consent_id', 'kind', 'token_key']);

/** The names in a statement that are bound: what it declares is its own. */
export function namesIn(statement: string): string[] {
  const declared = new Set([...statement.matchAll(/\bDECLARE @(\w+)/g)].map(([, name]) => name));
  const names = [...statement.matchAll(/(?<![@\w])@(\w+)/g)].map(([, name]) => String(name));
  return [...new Set(names)].filter((name) => !declared.has(name));
}

/**
 * A value as it is bound.
 * @throws {StoreError} invalid: longer than its parameter, or a text with U+0000, which SQL Server takes for the end of one
 */
export function bound(name: string, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  const type = parameters[name];
  if (type === undefined) throw new StoreError('invalid', `no parameter is called ${name}`);
  if (type.type === 'bit') return Boolean(value);
  if (!('length' in type)) return value;
  const bytes = Array.isArray(value)
    ? Buffer.concat(value as Uint8Array[])
    : typeof value === 'string'
      ? utf8(name, value)
      : buffer(value as Uint8Array);
  const fits =
    type.type === 'binary' ? bytes.length === type.length : type.length === MAX || bytes.length <= type.length;
  if (!fits)
    throw new StoreError(
      'invalid',
      `${name} has ${bytes.length} bytes; accepted: ${type.type === 'binary' ? '' : 'at most '}${type.length}`,
    );
  return bytes;
}

/** A column of a row, as the driver gives it. */
export interface Column {
  readonly metadata: { readonly colName: string; readonly type: { readonly name: string } };
  readonly value: unknown;
}

export const rowOf = (columns: readonly Column[]): Row =>
  Object.fromEntries(
    columns.map(({ metadata: { colName, type }, value }) => [colName, read(colName, value, type.name)]),
  );

/** A value of a column as records have it: the driver gives 64-bit numbers as text, which the stores' are never too large for. */
function read(column: string, value: unknown, driverType: string): unknown {
  if (TEXTS.has(column) && Buffer.isBuffer(value)) return value.toString('utf8');
  return typeof value === 'string' && /Int/.test(driverType) ? Number(value) : value;
}

function utf8(name: string, value: string): Buffer {
  // Zeros at the end are ignored when bytes are compared.
  if (value.includes('\0')) throw new StoreError('invalid', `${name} is a text with U+0000; accepted: one without`);
  return Buffer.from(value, 'utf8');
}

const buffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
