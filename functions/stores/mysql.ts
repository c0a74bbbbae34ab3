import type { Clock } from '../domain/clock.ts';
import { StoreError } from '../domain/errors.ts';
import type { Engine } from '../domain/ports.ts';
import {
  type Link,
  mysqlProduct,
  nothingWasDone,
  openLink,
  type Product,
  type Result,
  storeError,
} from './mysql-connection.ts';
import { partitioned } from './mysql-partitions.ts';
import { statements } from './mysql-statements.ts';
import { createSqlEngine } from './sql.ts';
import type { Answer, Row, Run, Statements } from './sql-dialect.ts';
import { createPool } from './sql-pool.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// MySQL 8.0.29 or newer, Aurora MySQL 3.05 or newer, InnoDB. Statements are prepared once for each connection, with
// `execute` of the driver `mysql2`; it repeats none by itself. Acknowledged is durable as far as
// `innodb_flush_log_at_trx_commit` says (1, the default: on disk; Aurora: in its storage).

/** How often a statement is sent that the server ended as if it had not begun. */
const TRIES = 5;

/** The four stores on a MySQL server. */
export const createEngine = (settings: DatabaseSettings, clock: Clock): Engine =>
  createMysqlEngine(mysqlProduct, statements, settings, clock);

/** The four stores on a server that speaks this protocol, by its statements where nothing is in partitions. */
export function createMysqlEngine(
  product: Product,
  flat: Statements,
  settings: DatabaseSettings,
  clock: Clock,
): Engine {
  const failed = (cause: unknown) => {
    throw storeError(product, cause);
  };
  const { validationQuery } = settings;
  const pool = createPool<Link>(
    {
      open: () => openLink(product, settings).catch(failed),
      isBroken: (link) => link.isBroken(),
      validate: (link) => (validationQuery === undefined ? link.ping() : link.query(validationQuery)),
      close: (link) => link.close(),
    },
    settings.pool,
  );
  const bound = new Map<string, Bound>();
  const run: Run = async (name, text, values) => {
    const statement = bound.get(name) ?? questioned(text);
    bound.set(name, statement);
    const given = statement.names.map((value) => sent(value, values[value]));
    return pool.use(async (link) => {
      for (let tries = 1; ; tries += 1) {
        try {
          return answerOf(await link.execute(statement.text, given));
        } catch (cause) {
          if (!nothingWasDone(cause) || tries === TRIES) failed(cause);
        }
      }
    });
  };
  return createSqlEngine(settings.expiryPartitions ? partitioned(flat) : flat, run, clock, pool.close);
}

interface Bound {
  readonly text: string;
  readonly names: readonly string[];
}

/** `:name` becomes `?`, as often as it stands there. */
function questioned(text: string): Bound {
  const names: string[] = [];
  const replaced = text.replaceAll(/:([A-Za-z_]\w*)/g, (_, name: string) => {
    names.push(name);
    return '?';
  });
  return { text: replaced, names };
}

/** How many characters a name may have. The server refuses more, but cuts off spaces at the end, in whatever mode. */
const LONGEST: Readonly<Record<string, number>> = {
  clientId: 255,
  subject: 512,
  applicationId: 255,
  consentId: 512,
  key: 512,
  kind: 64,
};

/** A value as the driver sends it: bytes as a Buffer, several of one length one behind the other, what is absent as NULL. */
function sent(name: string, value: unknown): unknown {
  if (typeof value === 'string' && value.endsWith(' ') && [...value].length > Number(LONGEST[name]))
    throw new StoreError('invalid', `${name} has more than ${LONGEST[name]} characters`);
  if (Array.isArray(value)) return Buffer.concat(value);
  if (value instanceof Uint8Array && !Buffer.isBuffer(value))
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return value ?? null;
}

/** Of a procedure the first result counts, which may say itself how much was `changed`. */
function answerOf(result: Result): Answer {
  if (!Array.isArray(result)) return { rows: [], changed: (result as { affectedRows: number }).affectedRows };
  const rows = (Array.isArray(result[0]) ? result[0] : result) as readonly Row[];
  return { rows, changed: Number(rows[0]?.changed ?? rows.length) };
}
