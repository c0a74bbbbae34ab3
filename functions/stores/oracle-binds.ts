import { StoreError } from '../domain/errors.ts';
import type { Row } from './sql-dialect.ts';

// What Oracle is told of every value and column of the statements, by its name in them: the driver has to be told the type of
// a NULL and the room for an answer.

export interface Bind {
  /** The driver's name of the type. */
  readonly type: 'DB_TYPE_RAW' | 'DB_TYPE_NUMBER' | 'DB_TYPE_VARCHAR';
  /** Bytes at most, or characters of a text that is sent. None of a number. */
  readonly size?: number;
  /** The name of the value, where it is another than that of the bind. */
  readonly value?: string;
}

/** What a BLOB can hold of ours: more does not go through PL/SQL in one piece, and so not in one round trip. */
const MOST = 32_767;

const raw = (size: number, value?: string): Bind => ({
  type: 'DB_TYPE_RAW',
  size,
  ...(value !== undefined && { value }),
});
const number: Bind = { type: 'DB_TYPE_NUMBER' };
const text: Bind = { type: 'DB_TYPE_VARCHAR', size: 255 };
/** The driver measures the room for a text in bytes: 255 characters of four. */
const room: Bind = { type: 'DB_TYPE_VARCHAR', size: 4 * 255 };

/**
 * `:i_name`. None but those that go into a BLOB may have more than 4000 bytes: behind such a one, Oracle refuses another that might
 * (https://docs.oracle.com/en/error-help/db/ora-24816).
 */
export const values: Readonly<Record<string, Bind>> = {
  accessData: raw(MOST),
  accessDigest: raw(32),
  accessExpiresAt: number,
  accessForeign: number,
  accessIssuedAt: number,
  afterId: raw(32),
  afterMinute: number,
  applicationId: text,
  attempt: raw(16),
  authorizedAtMs: number,
  binding: raw(32),
  clientId: text,
  consentId: text,
  createdAt: number,
  data: raw(MOST),
  digest: raw(32),
  expiresAt: number,
  graceSeconds: number,
  grantId: raw(12),
  id: raw(32),
  key: text,
  kind: text,
  limit: number,
  most: number,
  now: number,
  nowMs: number,
  refreshDigest: raw(32),
  refreshExpiresAt: number,
  refreshForeign: number,
  refreshIdleExpiresAt: number,
  refreshSender: raw(32),
  retainUntil: number,
  sealed: raw(MOST),
  selector: raw(32),
  // All that concern a grant, of 32 bytes each, one behind the other in hexadecimal: fifteen of four fields.
  selectors: { type: 'DB_TYPE_VARCHAR', size: 15 * 64 },
  sender: raw(32),
  subject: text,
  uid: raw(32),
  userCode: raw(32),
  wayIn: raw(32, 'key'),
};

/** `:o_name` */
export const columns: Readonly<Record<string, Bind>> = {
  access_data: raw(MOST),
  access_digest: raw(32),
  access_expires_at: number,
  access_foreign: number,
  access_issued_at: number,
  application_id: room,
  binding: raw(32),
  changed: number,
  client_id: room,
  consent_id: room,
  consumed_at: number,
  created_at: number,
  data: raw(MOST),
  digest: raw(32),
  ended: number,
  expires_at: number,
  grant_id: raw(12),
  id: raw(32),
  kind: room,
  minute: number,
  outcome: room,
  records: number,
  redeemed_at: number,
  refresh_digest: raw(32),
  refresh_expires_at: number,
  refresh_foreign: number,
  refresh_idle_expires_at: number,
  refresh_sender: raw(32),
  retain_until: number,
  rotated_at: number,
  same: number,
  sealed: raw(MOST),
  seen: number,
  subject: room,
  token_key: room,
  uid: raw(32),
  user_code: raw(32),
};

/** The names of a text, each once. */
export function namesIn(statement: string): { values: string[]; columns: string[] } {
  const found = (prefix: string) => [
    ...new Set([...statement.matchAll(new RegExp(`:${prefix}_(\\w+)`, 'g'))].map(([, name]) => String(name))),
  ];
  return { values: found('i'), columns: found('o') };
}

/**
 * A value as it is bound. Oracle takes an empty text and no bytes for NULL, which is what an empty record is stored as. An empty
 * name is refused: as NULL, a condition on it would be none.
 * @throws {StoreError} invalid: an empty name, or longer than Oracle can store
 */
export function encoded(name: string, given: Readonly<Record<string, unknown>>): Buffer | string | number | null {
  const { type, size = 0, value = name } = values[name] ?? unknown(name);
  const it = given[value];
  if (it === undefined || it === null) return null;
  if (type === 'DB_TYPE_NUMBER') return Number(it);
  if (it === '') throw new StoreError('invalid', `${value} is empty, which Oracle takes for none`);
  const bound = Array.isArray(it) ? it.map((each) => Buffer.from(each).toString('hex')).join('') : it;
  const { length } = type === 'DB_TYPE_RAW' ? (bound as Uint8Array) : [...(bound as string)];
  if (length === 0) return null;
  if (length > size) {
    const unit = type === 'DB_TYPE_RAW' ? 'bytes' : 'characters';
    throw new StoreError('invalid', `${value} is of ${length} ${unit}; Oracle stores ${size} of it at most`);
  }
  return typeof bound === 'string' ? bound : Buffer.from(bound as Uint8Array);
}

/** What a block answered with: no row where nothing was said. */
export function rowsOf(answer: Row): Row[] {
  const row = Object.fromEntries(Object.entries(answer).map(([name, column]) => [name.replace(/^o_/, ''), column]));
  return Object.values(row).every((column) => column === null || column === undefined) ? [] : [whole(row)];
}

/** A record that was stored as NULL was empty. */
export const whole = (row: Row): Row => (row.data === null ? { ...row, data: Buffer.alloc(0) } : row);

function unknown(name: string): never {
  throw new StoreError('invalid', `no bind is called ${name}`);
}
