import { readFile } from 'node:fs/promises';
import { type Reply, type Sent, startTdsServer, type TdsSettings } from './tds-server.ts';
import { createTsqlDatabase, TsqlError, type Value } from './tsql-on-sqlite.ts';

// What there is of SQL Server in these tests: its protocol (tds-server.ts) in front of a reading of its language
// (tsql-on-sqlite.ts).

const LARGE = /(_at|_at_ms|_until)$|^minute$/;
const FLAGS = ['access_foreign', 'refresh_foreign'];

const batchesOf = (text: string): string[] => text.split(/^GO\s*$/m).filter((batch) => batch.trim() !== '');

/** A server with its own database; `before` may give another answer than the database. */
export async function startStandIn(
  settings: Omit<TdsSettings, 'answer'> & {
    schema?: boolean;
    partitions?: boolean;
    quiet?: boolean;
    before?: (sent: Sent) => Reply | undefined;
  } = {},
) {
  const database = createTsqlDatabase(settings);
  if (settings.schema !== false) {
    for (const script of ['oauth-server', 'oauth-client', ...(settings.partitions ? ['oauth-partitions'] : [])]) {
      const text = await readFile(new URL(`../../sql/sqlserver/${script}.sql`, import.meta.url), 'utf8');
      for (const batch of batchesOf(text)) database.run({}, batch);
    }
  }
  const answer = (sent: Sent): Reply => {
    const other = settings.before?.(sent);
    if (other !== undefined) return other;
    if (/^set (textsize|quoted_identifier)/im.test(sent.text) || sent.text === 'SELECT 1 AS one')
      return { sets: [], counted: 0 };
    const values: Record<string, Value> = {};
    for (const [name, { value }] of Object.entries(sent.parameters))
      values[name] = typeof value === 'boolean' ? Number(value) : value;
    try {
      return database.run(sent.session, sent.text, values);
    } catch (error) {
      if (error instanceof TsqlError) return { errors: [{ number: error.number, message: error.message }] };
      throw error;
    }
  };
  const typeOf = (column: string) =>
    (LARGE.test(column) ? 'bigint' : FLAGS.includes(column) ? 'bit' : undefined) as 'bigint' | undefined;
  const server = await startTdsServer({ ...settings, answer, typeOf, ended: (session) => database.end(session) });
  return {
    ...server,
    database,
    async stop() {
      await server.stop();
      database.close();
    },
  };
}
