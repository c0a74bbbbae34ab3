import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { namesIn, parameters } from '../../functions/stores/sqlserver-parameters.ts';
import { batchesOf } from '../../functions/stores/sqlserver-schema.ts';
import { describeOn } from './describe-on.ts';
import { others, partitionScript, partitionTexts, planted, scripts, texts } from './sqlserver-texts.ts';
import { faultsIn } from './tsql-grammar.ts';

describe('a complete grammar of T-SQL', () => {
  it.each([...texts, ...partitionTexts, ...others])('takes the statement %s', (_name, text) => {
    expect(faultsIn(text)).toEqual([]);
  });

  it.each(scripts)('takes each batch of the script %s', (_name, script) => {
    const batches = batchesOf(script);
    expect(batches.length).toBeGreaterThan(3);
    // Of a GRANT it knows one privilege; Microsoft's parser reads these, below.
    for (const batch of batches) expect(faultsIn(batch.replaceAll(/^ *GRANT .*;$/gm, 'PRINT 1;'))).toEqual([]);
  });

  it(`takes each batch of the script ${partitionScript[0]}, but for what it has no words for`, () => {
    const known = batchesOf(partitionScript[1]).filter((batch) => !/CREATE PARTITION|ON oauth_slots|GRANT/.test(batch));
    expect(known.length).toBe(4);
    for (const batch of known) expect(faultsIn(batch)).toEqual([]);
  });

  it.each(planted)('notices %s', (_mistake, made) => {
    const changed = texts.map(([, text]) => [text, made(text)] as const).filter(([text, made]) => text !== made);
    const shortest = changed.map(([, text]) => text).toSorted((one, other) => one.length - other.length);
    expect(shortest.length).toBeGreaterThan(2);
    for (const text of shortest.slice(0, 3)) expect(faultsIn(text), text).not.toEqual([]);
  });
});

describe('the names in the statements', () => {
  const used = new Set([...texts, ...partitionTexts].flatMap(([, text]) => namesIn(text)));

  it('are those that have a type, each of them', () => {
    expect([...used].toSorted()).toEqual(Object.keys(parameters).toSorted());
  });

  it('do not count what a statement declares, or the server knows by itself', () => {
    expect(namesIn('DECLARE @a int = @b; SELECT @@ROWCOUNT, @a, @c, @c;')).toEqual(['b', 'c']);
  });
});

describe('what deadlocks and races would come of', () => {
  const all = [...texts, ...partitionTexts].map(([, text]) => text).join('\n');

  it('is in no statement: MERGE, dirty reads, serializable sessions, locks of whole tables', () => {
    expect(all).not.toMatch(/\bMERGE\b|NOLOCK|READUNCOMMITTED|SET TRANSACTION|TABLOCK|IGNORE_DUP_KEY/i);
  });

  it('every batch that changes more than one row set is one transaction, rolled back by any error', () => {
    for (const [name, text] of [...texts, ...partitionTexts]) {
      const changes = text.match(/\b(INSERT INTO|UPDATE|DELETE)\s+(?!@)/g)?.length ?? 0;
      if (changes < 2 || name.startsWith('revokeBy')) continue;
      expect(text, name).toMatch(/SET XACT_ABORT ON;[\s\S]*BEGIN TRANSACTION;[\s\S]*COMMIT TRANSACTION;/);
    }
  });

  it('a grant is stored while the marks that would bar it are locked, there or not, and a mark waits for these locks', () => {
    const named = new Map(texts);
    for (const name of ['persist_own', 'persist_foreign'])
      expect(named.get(name)).toMatch(
        /BEGIN TRANSACTION;[\s\S]*FROM revocation WITH \(HOLDLOCK\)[\s\S]*COMMIT TRANSACTION;/,
      );
    for (const name of ['markRevoked', 'revokeGrant', 'putArtifact', 'putArtifactOnce', 'putClientToken'])
      expect(named.get(name)).toMatch(/BEGIN TRANSACTION;\s+UPDATE \w+ WITH \(UPDLOCK, HOLDLOCK\)/);
  });

  it('a purge waits for nobody, goes by the index of what is due, and gives way', () => {
    const purges = texts.filter(([name]) => name.startsWith('purge'));
    expect(purges.length).toBe(7);
    const deletes = new Map(partitionTexts).get('partitioned_purgeAccessTokens')?.match(/DELETE[^;]*;/g) ?? [];
    expect(deletes.length).toBe(3);
    for (const text of deletes)
      expect(text).toMatch(/WITH \(READPAST, READCOMMITTEDLOCK, ROWLOCK, INDEX \(access_token_expires\)\)/);
    for (const [name, text] of purges)
      expect(text, name).toMatch(
        /DEADLOCK_PRIORITY LOW;\s+DELETE TOP \(@limit\) .* WITH \(READPAST, READCOMMITTEDLOCK, ROWLOCK, INDEX \(\w+\)\)/,
      );
  });

  it('an insert that must not be made twice looks for its row under a lock of its key, or meets it as an error', () => {
    for (const [name, text] of texts) {
      if (!/(IF @@ROWCOUNT = 0|WHERE NOT EXISTS)\s[\s\S]*INSERT|INSERT[\s\S]*WHERE NOT EXISTS/.test(text)) continue;
      // Whoever adds to a grant has locked its row: addAccess by UPDLOCK, a rotation by its own update.
      expect(text, name).toMatch(/WITH \(UPDLOCK, HOLDLOCK\)|WITH \(UPDLOCK\)|OUTPUT inserted\.grant_id INTO @used/);
    }
  });
});

// Microsoft's own tools for T-SQL, which `npm run test:engines sqlserver` fetches.
const { SQLSERVER_MODEL, SQLSERVER_MODEL_PYTHON, SQLSERVER_MODEL_LIBRARIES, SQLSERVER_MODEL_ICU } = process.env;

/** What the parser of SQL Server 2017 and its model of a database have against statements, each as a procedure of its name. */
function modelFaults(
  statements: Readonly<Record<string, string>>,
  alone: Readonly<Record<string, string>> = {},
  inPartitions: (schema: readonly string[]) => readonly string[] = (schema) => schema,
) {
  const [server = '', client = ''] = scripts.map(([, text]) => text);
  const tables = (text: string) => text.match(/^CREATE (TABLE [\s\S]*?\n\)|INDEX .*?);$/gm) ?? [];
  const [, due = ''] = /ADD (due_at AS .*);/.exec(server) ?? [];
  const schema = [...tables(server), ...tables(client).filter((text) => !text.includes('oauth_schema'))];
  const { stdout, stderr } = spawnSync(
    'python3',
    [fileURLToPath(new URL('../engines/sqlserver-model.py', import.meta.url))],
    {
      input: JSON.stringify({
        schema: inPartitions(
          schema.map((text) => text.replace('CONSTRAINT artifact_pk', `${due}, CONSTRAINT artifact_pk`)),
        ),
        ...{ statements, alone },
      }),
      env: {
        ...process.env,
        PYTHONPATH: SQLSERVER_MODEL_PYTHON,
        LD_LIBRARY_PATH: SQLSERVER_MODEL_LIBRARIES,
        CLR_ICU_VERSION_OVERRIDE: SQLSERVER_MODEL_ICU,
      },
      encoding: 'utf8',
      maxBuffer: 2 ** 24,
    },
  );
  if (!stdout.startsWith('{')) throw new Error(stderr);
  return JSON.parse(stdout).faults as Record<string, string[]>;
}

const declared = (name: string) => {
  const type = parameters[name];
  if (type === undefined) return `@${name} sql_variant`;
  if (!('length' in type)) return `@${name} ${type.type}`;
  return `@${name} ${type.type === 'binary' ? 'binary' : 'varbinary'}(${type.length > 8000 ? 'max' : type.length})`;
};
const procedure = (name: string, text: string) =>
  `CREATE PROCEDURE ${name} ${namesIn(text).map(declared).join(', ')} AS\n${text}`;
const procedures = (named: readonly (readonly [string, string])[]) =>
  Object.fromEntries(named.map(([name, text]) => [name, procedure(name, text)]));

describeOn(SQLSERVER_MODEL)("Microsoft's parser of SQL Server 2017, and its model of the schema", () => {
  it('know every role, table and column to which a privilege is granted', () => {
    const roles = scripts.find(([name]) => name === 'oauth-roles.sql')?.[1] ?? '';
    const made = (roles.match(/CREATE ROLE \w+;/g) ?? []).join('\nGO\n');
    const granted = (text: string) => `${made}\nGO\n${text}`;
    const grants = roles.match(/^GRANT .*;$/gm) ?? [];
    expect(grants.length).toBeGreaterThan(25);
    const wrong = {
      role: 'GRANT SELECT ON oauth_grant TO oauth_readers;',
      table: 'GRANT SELECT ON oauth_grants TO oauth_reader;',
      column: 'GRANT SELECT ON oauth_grant (retained_until) TO oauth_reader;',
      privilege: 'GRANT SELEKT ON oauth_grant TO oauth_reader;',
    };
    const planted = Object.fromEntries(Object.entries(wrong).map(([name, text]) => [name, granted(text)]));
    const { right, ...faults } = modelFaults({}, { right: granted(grants.join('\nGO\n')), ...planted });
    expect(right).toEqual([]);
    for (const name of Object.keys(wrong)) expect(faults[name], name).not.toEqual([]);
  });

  it('take every statement, and know every table, column and variable in it', () => {
    const faults = modelFaults(procedures([...texts, ...others]));
    expect(Object.keys(faults).length).toBe(texts.length + others.length);
    expect(faults).toEqual(Object.fromEntries(Object.keys(faults).map((name) => [name, []])));
  });

  const [, script] = partitionScript;
  const piece = (pattern: RegExp) => String(pattern.exec(script)?.[1]);
  /** The schema as oauth-partitions.sql leaves it, made of its own pieces. */
  const inPartitions = (schema: readonly string[]) => [
    piece(/^(CREATE PARTITION FUNCTION .*);$/m),
    piece(/^(CREATE PARTITION SCHEME .*);$/m),
    'CREATE ROLE oauth_writer',
    'CREATE ROLE oauth_purger',
    ...schema
      .filter((text) => !text.includes('INDEX access_token_expires'))
      .map((text) =>
        text.replace(
          /CONSTRAINT access_token_pk .*/,
          () => `${piece(/ADD (slot AS [^;]*);/)}, ${piece(/ADD (CONSTRAINT access_token_pk .*) ON oauth_slots/)}`,
        ),
      )
      .map((text) =>
        text.includes('TABLE access_token')
          ? text.replace(/\)$/, `) ${piece(/ADD CONSTRAINT .* (ON oauth_slots .*);/)}`)
          : text,
      ),
    piece(/^ *(CREATE INDEX .*);$/m),
  ];
  const emptying = piece(/^(CREATE OR ALTER PROCEDURE [\s\S]*?)\nGO/m).replace('OR ALTER ', '');
  const sent = procedures(partitionTexts);
  const grants = Object.fromEntries(
    [...script.matchAll(/(GRANT .*);/g)].map(([, grant], index) => [`grant${index}`, String(grant)]),
  );

  it('take expiry partitions, the procedure that empties them, and what is sent there', () => {
    const batches = Object.fromEntries(batchesOf(script).map((batch, index) => [`batch${index}`, batch]));
    const wrong: Readonly<Record<string, string>> = {
      'a column that is not there': emptying.replace('access_token.slot = @slot', 'access_token.slots = @slot'),
      'a variable that nobody declares': emptying.replace('DECLARE @slot tinyint;', ''),
      'another engine’s way to empty a partition': emptying.replace('(PARTITIONS (2))', '(PARTITION 2)'),
      'a grant on a column that is not there': 'GRANT SELECT ON access_token (slots) TO oauth_purger',
      'a procedure that is not there': String(sent.partitioned_emptyAccessPartitions),
    };
    const right = { oauth_empty_access_partition: emptying, ...sent, ...grants };
    const faults = modelFaults(right, { ...batches, ...wrong }, inPartitions);
    const faultsOf = (named: object) => Object.keys(named).flatMap((name) => faults[name] ?? ['no answer']);
    // The model knows no table of the server's own. Of a batch only its syntax counts: its names stand in other batches.
    expect(faultsOf(right).filter((fault) => !fault.includes('[sys].[partitions]'))).toEqual([]);
    expect(faultsOf(batches).filter((fault) => /^(\d|no)/.test(fault))).toEqual([]);
    for (const mistake of Object.keys(wrong))
      expect(
        faults[mistake]?.filter((fault) => !fault.includes('[sys].[partitions]')),
        mistake,
      ).not.toEqual([]);
  });

  it('notice a planted mistake of each kind', () => {
    const places: readonly (readonly [mistake: string, made: (text: string) => string])[] = [
      ...planted,
      ['a column that is not there', (text) => text.replace(/\brevoked_at = /, 'revoked_on = ')],
      ['a column of OUTPUT that is not there', (text) => text.replace('inserted.successor', 'inserted.successors')],
      ['a table that is not there', (text) => text.replace('FROM foreign_token', 'FROM foreign_tokens')],
      ['a column of an INSERT that is not there', (text) => text.replace('(grant_id, digest,', '(grant_id, hash,')],
      ['a variable that nobody declares', (text) => text.replace(/DECLARE @outcome [^;]*;/, '')],
      ['an index hint where there may be none', (text) => text.replace(/FROM (\w+) FROM \1/, 'FROM $1')],
    ];
    const made = places.flatMap(([mistake, make], index) =>
      texts
        .map(([, text]) => [mistake, text, make(text)] as const)
        .filter(([, text, changed]) => text !== changed)
        .slice(0, 1)
        .map(([, text, changed]) => [`planted${index}`, mistake, text, changed] as const),
    );
    expect(made.length).toBe(places.length);
    // A mistake does not change what is bound.
    const as = (name: string, text: string, changed: string) => procedure(name, text).replace(text, () => changed);
    const faults = modelFaults(
      {},
      Object.fromEntries(made.map(([name, , text, changed]) => [name, as(name, text, changed)])),
    );
    for (const [name, mistake] of made) expect(faults[name], mistake).not.toEqual([]);
  });
});
