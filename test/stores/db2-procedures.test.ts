import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, stateOf } from '../../functions/stores/db2-connection.ts';
import type { Connection } from '../../functions/stores/db2-driver.ts';
import { applySchema, statementsOf } from '../../functions/stores/db2-schema.ts';
import { describeOn } from './describe-on.ts';

// Whoever takes the procedures, a Db2 or what stands in its place for the tests, must refuse a wrong one: each of these is
// the shipped text with one fault in it, under another name.

const address = process.env.DB2_URL;

const faults: [fault: string, procedure: string, text: string, planted: string][] = [
  ['a variable that is not declared', 'redeem_code', 'redeemed_at = p_now', 'redeemed_at = p_noon'],
  ['a column that is not there', 'redeem_code', 'SET redeemed_at =', 'SET redeemed_on ='],
  ['a table that is not there', 'remove_code', 'FROM authorization_code', 'FROM authorisation_code'],
  ['an IF without its END IF', 'redeem_code', 'END IF;', ''],
  ['an IF without THEN', 'redeem_code', "= 'usable' THEN", "= 'usable'"],
  ['a statement without its semicolon', 'remove_code', '= p_digest;', '= p_digest'],
  ['a misspelt statement', 'remove_code', 'COMMIT;', 'COMIT;'],
  ['a misspelt clause', 'remove_code', 'WHERE digest', 'WERE digest'],
  ['a CASE without its END', 'redeem_code', "ELSE 'usable' END", "ELSE 'usable'"],
  ['a cursor that is not declared', 'purge_codes', 'OPEN due;', 'OPEN dues;'],
  [
    'a variable after a handler',
    'revoke_access',
    'BEGIN\n  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;',
    'BEGIN\n  DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;\n  DECLARE v_grant_id VARCHAR(16) FOR BIT DATA;',
  ],
  ['a type that is none', 'remove_code', 'OUT p_changed BIGINT', 'OUT p_changed BIGIN'],
  ['a quotation that does not end', 'redeem_code', "'mismatched'", "'mismatched"],
];

describeOn(address)('the procedures of Db2, refused where they are wrong', () => {
  let connection: Connection;
  let shipped: string[];
  beforeAll(async () => {
    const { hostname, port, pathname, username, password } = new URL(address ?? '');
    const login = { user: decodeURIComponent(username), password: decodeURIComponent(password) };
    const place = { ...login, host: hostname, port: Number(port), database: pathname.slice(1), tls: false as const };
    await applySchema(place, { withinMs: 120_000 });
    connection = await connect(place);
    shipped = statementsOf(await readFile(new URL('../../sql/db2/oauth-server.sql', import.meta.url), 'utf8'));
  });
  afterAll(async () => {
    await connection.endTransaction(true);
    await connection.close();
  });

  const textOf = (procedure: string) =>
    shipped.find((text) => text.startsWith(`CREATE OR REPLACE PROCEDURE ${procedure} (`)) ?? '';
  const create = async (text: string) => {
    await connection.query(text.replace('PROCEDURE ', 'PROCEDURE planted_'));
    await connection.endTransaction(true);
    connection.beginTransactionSync();
  };

  it.each(faults)('%s', async (_, procedure, text, planted) => {
    expect(textOf(procedure)).toContain(text);
    const refusal = await create(textOf(procedure).replace(text, planted)).catch((error: unknown) => error);
    await connection.endTransaction(true);
    connection.beginTransactionSync();
    expect(stateOf(refusal).state).toMatch(/^42/);
  });

  it('and taken where they are as shipped', async () => {
    for (const procedure of new Set(faults.map(([, name]) => name))) await create(textOf(procedure));
  });
});
