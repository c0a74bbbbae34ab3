import type { Parameter } from './db2-driver.ts';
import type { Row } from './sql-dialect.ts';

// Values of the stores as the columns of sql/db2 have them, and back.

/** A statement with its marks numbered. */
export interface Bound {
  readonly isCall: boolean;
  readonly text: string;
  /** The columns that a procedure gives, in their order. */
  readonly columns: readonly string[];
  /** A query's text, with the number of rows that it may give. */
  textOf(values: Values): string;
  parametersOf(values: Values): Parameter[];
}

type Values = Readonly<Record<string, unknown>>;

const VARBINARY = -3;
const VARCHAR = 12;

/** Numbers that are given. All else is bytes, and names (text) become bytes. */
const NUMBERS: ReadonlySet<string> = new Set([
  ...[
    'createdAt',
    'expiresAt',
    'retainUntil',
    'refreshExpiresAt',
    'refreshIdleExpiresAt',
    'accessIssuedAt',
    'accessExpiresAt',
  ],
  ...[
    'refreshForeign',
    'accessForeign',
    'authorizedAtMs',
    'now',
    'nowMs',
    'graceSeconds',
    'afterMinute',
    'limit',
    'most',
  ],
]);

/** Names that come out, with a full stop behind each. */
const NAMES: ReadonlySet<string> = new Set(['client_id', 'subject', 'application_id', 'consent_id']);

/** The most bytes of what comes out of a procedure, where it is no number. */
const LENGTHS: Readonly<Record<string, number>> = {
  ...{ grant_id: 16, client_id: 480, subject: 480, application_id: 480, consent_id: 480, data: 16_000, sealed: 16_000 },
  ...{ access_digest: 32, access_data: 16_000, refresh_digest: 32, refresh_sender: 64, binding: 32 },
  ...{ id: 32, uid: 32, user_code: 32 },
};

const MARK = /:([A-Za-z]\w*)|>(\w+)/g;
/** What stands in for a number of rows, which is no value in Db2: it is written into the text. */
const ROWS = /FETCH FIRST :(\w+) ROWS/g;

export function bind(text: string): Bound {
  const isCall = /^\s*CALL/.test(text);
  const marks = [...text.replaceAll(ROWS, '').matchAll(MARK)].filter(([mark]) => isCall || mark.startsWith(':'));
  const numbered = text.replaceAll(MARK, (mark) => (isCall || mark.startsWith(':') ? '?' : mark));
  return {
    isCall,
    text: numbered,
    columns: marks.flatMap(([, , column]) => (column === undefined ? [] : [column])),
    textOf: (values) =>
      text
        .replaceAll(ROWS, (_, name: string) => `FETCH FIRST ${Number(values[name])} ROWS`)
        .replaceAll(MARK, (mark) => (mark.startsWith(':') ? '?' : mark)),
    parametersOf: (values) =>
      marks.map(([, name, column]) => (name === undefined ? taken(String(column)) : given(name, values[name]))),
  };
}

/** Before every id and digest. An empty string is not: Db2 compares it as blanks, behind what begins with less. */
const FIRST = new Uint8Array(16);

// A whole number goes as its digits: the driver sends one above 32 bits as if it were a fraction.
function given(name: string, value: unknown): Parameter {
  if (NUMBERS.has(name)) {
    const number = value === undefined || value === null ? null : String(Number(value));
    return { ParamType: 'INPUT', CType: 'CHAR', SQLType: 'BIGINT', Data: number };
  }
  const bytes = bytesOf(name === 'afterId' && (value as Uint8Array).length === 0 ? FIRST : value);
  return { ParamType: 'INPUT', CType: 'BINARY', SQLType: VARBINARY, Data: bytes, Length: bytes?.length || 1 };
}

// Bytes come into a buffer of ours: the driver forgets to free the one that it would make for a text here (FREE_PARAMS).
function taken(column: string): Parameter {
  if (column === 'outcome') return { ParamType: 'OUTPUT', CType: 'CHAR', SQLType: VARCHAR, Data: '', Length: 10 };
  const length = LENGTHS[column];
  if (length === undefined) return { ParamType: 'OUTPUT', CType: 'BIGINT', SQLType: 'BIGINT', Data: 0 };
  return { ParamType: 'OUTPUT', CType: 'BINARY', SQLType: VARBINARY, Data: Buffer.alloc(length), Length: length };
}

/** The most selectors that a grant can have: each combination of four names. */
const SELECTORS = 15;

function bytesOf(value: unknown): Buffer | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return Buffer.from(`${value}.`);
  if (Array.isArray(value))
    return Buffer.concat(Array.from({ length: SELECTORS }, (_, index) => value[index] ?? value[0]));
  return Buffer.from(value as Uint8Array);
}

/** Columns are in lower case, digits are numbers again, and names are text. */
export function rowOf(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const column = name.toLowerCase();
      if (NAMES.has(column) && value instanceof Uint8Array) return [column, Buffer.from(value).toString().slice(0, -1)];
      if (typeof value === 'string' && /^-?\d+$/.test(value)) return [column, Number(value)];
      return [column, value];
    }),
  );
}
