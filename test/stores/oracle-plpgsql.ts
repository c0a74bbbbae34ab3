import { type Bind, columns, namesIn, values } from '../../functions/stores/oracle-binds.ts';

// PL/SQL as the statements use it, said again in PL/pgSQL, so that PostgreSQL can run what was written for Oracle. PL/pgSQL was
// modelled on PL/SQL: blocks, IF, CASE, FOR, row variables and exception handlers are left as they are; what differs is
// replaced word by word, and nothing is decided anew. It shows what the blocks decide and whom they lock, on PostgreSQL's
// terms; not that Oracle would take them, nor how Oracle's own locks, conversions and restarts behave.

const types: Readonly<Record<Bind['type'], string>> = {
  DB_TYPE_RAW: 'bytea',
  DB_TYPE_NUMBER: 'bigint',
  DB_TYPE_VARCHAR: 'text',
};

type Replacement = readonly [RegExp, string];
const replaced = (text: string, replacements: readonly Replacement[]): string =>
  replacements.reduce((rest, [pattern, by]) => rest.replace(pattern, by), text);

const inSql: readonly Replacement[] = [
  [/HEXTORAW\((.+?\))\)/g, "decode($1, 'hex')"],
  [/FROM dual CONNECT BY 64 \* LEVEL <= LENGTH\(([^()\s]+)\)/g, 'FROM generate_series(1, length($1) / 64) AS level'],
  [/AND ROWNUM = 1/g, 'LIMIT 1'],
  // A division of whole numbers has no rest to cut off.
  [/FLOOR(?=\()/g, ''],
  [/"UID"/g, 'uid'],
];

const inBlocks: readonly Replacement[] = [
  // A procedure of PostgreSQL commits when it ends; what fails in it is rolled back whole.
  [/\s+WHEN OTHERS THEN\s+ROLLBACK;\s+RAISE;/g, ''],
  [/COMMIT WRITE WAIT IMMEDIATE;(\s*(?:EXCEPTION|END;$))/g, '$1'],
  [/EXCEPTION\s+END;$/g, 'END;'],
  [/COMMIT WRITE WAIT IMMEDIATE/g, 'COMMIT'],
  [/(WHEN NO_DATA_FOUND THEN\s+)ROLLBACK;/g, '$1NULL;'],
  [/LOCK TABLE (\w+) IN EXCLUSIVE MODE WAIT (\d+)/g, "SET LOCAL lock_timeout = '$2s'; LOCK TABLE $1 IN EXCLUSIVE MODE"],
  // SELECT ... INTO takes exactly one row.
  [/(?<!INSERT )\bINTO (?=:o_|[a-z]\b|v_)/g, 'INTO STRICT '],
  [/DUP_VAL_ON_INDEX/g, 'unique_violation'],
  // A FORALL of nothing leaves SQL%ROWCOUNT as it was.
  [
    /FORALL i IN 1 \.\. v_places\.COUNT\s+(DELETE [^;]*;)(.*?)SQL%ROWCOUNT/gs,
    'IF cardinality(v_places) > 0 THEN $1 GET DIAGNOSTICS v_rows = ROW_COUNT; END IF;$2v_rows',
  ],
  [/v_places\.COUNT/g, 'cardinality(v_places)'],
  [/^(.*)SQL%ROWCOUNT(.*)$/gm, 'GET DIAGNOSTICS v_rows = ROW_COUNT; $1v_rows$2'],
  // Rows that are fetched by place, and deleted in one piece.
  [/TYPE places IS TABLE OF ROWID;/g, ''],
  [/v_places places;\s+CURSOR due IS SELECT t\.ROWID (.*?) FOR UPDATE SKIP LOCKED;/gs, 'v_places tid[];{{$1}}'],
  [
    /\{\{(.*?)\}\}(.*?)OPEN due;.*?LIMIT (\w+);.*?CLOSE due;/gs,
    '$2v_places := ARRAY(SELECT t.ctid $1 LIMIT $3 FOR UPDATE SKIP LOCKED);',
  ],
  [/ROWID = v_places\(i\)/g, 'ctid = ANY (v_places)'],
  [/^(\s*)(oauth_\w+\()/gm, '$1CALL $2'],
  [/\bRAW\(\d+\)/g, 'bytea'],
  [/\bVARCHAR2\(\d+\)/g, 'text'],
  [/\bNUMBER\b/g, 'bigint'],
];

/** A procedure that does what a block does, with its values and its answer as parameters. */
export function procedureOf(name: string, block: string): string {
  const names = namesIn(block);
  const parameters = [
    ...names.values.map((value) => `i_${value} ${types[(values[value] as Bind).type]}`),
    ...names.columns.map((column) => `INOUT o_${column} ${types[(columns[column] as Bind).type]}`),
  ];
  const loops = [...block.matchAll(/FOR (\w+) IN \(/g)].map(([, row]) => `${row} record; `);
  const body = replaced(block, [...inBlocks, ...inSql])
    .replace(/^\s*DECLARE/, () => `DECLARE v_rows bigint; ${loops.join('')}`)
    .replaceAll(/:(?=[io]_)/g, '');
  return `CREATE PROCEDURE ${name}(${parameters.join(', ')}) LANGUAGE plpgsql AS $$\n#variable_conflict use_column\n${body}\n$$`;
}

/** How a statement is called, with its values in this order: a procedure's, or a query as it is. */
export function callOf(text: string, procedure: string | undefined): { text: string; names: string[] } {
  const { values: names, columns: answer } = namesIn(text);
  const place = (value: string) => `$${names.indexOf(value) + 1}::${types[(values[value] as Bind).type]}`;
  if (procedure)
    return { text: `CALL ${procedure}(${[...names.map(place), ...answer.map(() => 'NULL')].join(', ')})`, names };
  const query = replaced(text, inSql).replaceAll(/:i_(\w+)/g, (_, value: string) => place(value));
  return { text: query.replaceAll(/ROWS ONLY\)(?! AS)/g, 'ROWS ONLY) AS counted'), names };
}

/** The roles of a script, and what they may do. Oracle's READ is PostgreSQL's SELECT; its SELECT takes locks, too. */
export const rolesOf = (script: string): string[] =>
  [...script.matchAll(/^make\('(.*?)'\);$/gm)].map(([, text]) =>
    replaced(String(text), [
      [/^CREATE ROLE .*$/, 'DO $$$$ BEGIN $&; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$$$'],
      [/^GRANT SELECT/, 'GRANT SELECT, UPDATE'],
      [/^GRANT SELECT, UPDATE, INSERT, UPDATE/, 'GRANT SELECT, INSERT, UPDATE'],
      [/^GRANT READ/, 'GRANT SELECT'],
      [/^GRANT EXECUTE ON/, '$& PROCEDURE'],
    ]),
  );

/** The tables and indexes of a script. A RAW is as long as it says at most, and never empty. */
export function tablesOf(script: string): string[] {
  const made = [...script.matchAll(/^make\('(.*?)'\);$/gms)].map(([, text]) => String(text).replaceAll("''", "'"));
  const kinds = new Set([...script.matchAll(/RAW\((\d+)\)/g)].map(([, size]) => String(size)));
  return [
    ...[...kinds].map(
      (size) =>
        `DO $$ BEGIN CREATE DOMAIN raw_${size} AS bytea CHECK (octet_length(VALUE) BETWEEN 1 AND ${size}); EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    ),
    ...made.map((text) =>
      replaced(text, [
        [/^\s*CREATE TABLE /, 'CREATE TABLE IF NOT EXISTS '],
        [/\)[^)]*\bLOB \(.*$|\) PCTFREE \d+$/s, ')'],
        [/ COMPRESS 1$/, ''],
        [/\bFLOOR(?=\()/, ''],
        [/\((COALESCE\(.*\))\)$/, '(($1))'],
        [/RAW\((\d+)\)/g, 'raw_$1'],
        [/VARCHAR2\((\d+) CHAR\)/g, 'varchar($1)'],
        [/NUMBER\(\d+\)/g, 'bigint'],
        [/\bBLOB\b/g, 'bytea'],
        [/"UID"/g, 'uid'],
      ]),
    ),
  ];
}

/** Expiry partitions, as far as they go: one table with their column and their key, and a partition is emptied by a DELETE. */
export function partitionsOf(script: string): string[] {
  const made = [...script.matchAll(/^make\('(.*?)'\);$/gms)].map(([, text]) => String(text));
  const [procedure = ''] = /^CREATE OR REPLACE PROCEDURE [\s\S]*?^END;$/m.exec(script) ?? [];
  return [
    ...made
      .filter((text) => !text.includes('MODIFY PARTITION'))
      .map((text) =>
        replaced(text, [
          [/ADD \((.*) VIRTUAL\)$/s, 'ADD COLUMN $1 STORED'],
          [/NUMBER\(1\)/, 'bigint'],
          [/FLOOR(?=\()/g, ''],
          [/ LOCAL ONLINE$| DROP INDEX$/, ''],
        ]),
      ),
    replaced(procedure, [
      [
        /\((.*)\) AUTHID DEFINER AS/,
        '(IN p_now bigint, INOUT p_records bigint) LANGUAGE plpgsql SECURITY DEFINER AS $$$$ DECLARE ring record;',
      ],
      [/busy EXCEPTION;.*?;/s, ''],
      [/WHEN busy/, 'WHEN lock_not_available'],
      [/EXECUTE IMMEDIATE 'ALTER SESSION[^;]*;/, ''],
      [
        /SELECT COALESCE\(MAX\(p\.num_rows\)[^;]*;/,
        'SELECT COUNT(*) INTO p_records FROM access_token a WHERE a.slot = v_slot;',
      ],
      [
        /EXECUTE IMMEDIATE 'ALTER TABLE access_token TRUNCATE PARTITION slot_' \|\| v_slot;/,
        'DELETE FROM access_token WHERE slot = v_slot;',
      ],
      [/ FROM dual/g, ''],
      [/FLOOR(?=\()/g, ''],
      [/\bNUMBER\b/g, 'bigint'],
      [/^END;$/m, 'END; $$$$'],
    ]),
    'REVOKE EXECUTE ON PROCEDURE oauth_empty_access_partition FROM PUBLIC',
  ];
}
