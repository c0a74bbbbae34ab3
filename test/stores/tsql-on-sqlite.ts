import type { DatabaseSync as Database } from 'node:sqlite';

// Runs the T-SQL of this package where there is no SQL Server: control flow, variables, transactions and errors here, each
// query in SQLite, rewritten word by word. It knows what the statements and scripts use and refuses all else. What it shows
// is that their logic is right when nobody comes between; of locks, isolation, plans and types it shows nothing.

const { DatabaseSync } = process.getBuiltinModule('node:sqlite');

export type Value = null | number | bigint | string | Uint8Array;
export interface ResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}
export interface Outcome {
  readonly sets: readonly ResultSet[];
  /** Rows that statements without NOCOUNT changed or gave. */
  readonly counted: number;
}

/** An error as the server numbers it. */
export class TsqlError extends Error {
  readonly number: number;
  constructor(number: number, message: string) {
    super(message);
    this.number = number;
  }
}

type Word = string;
type Scope = {
  readonly values: Map<string, Value>;
  readonly lengths: Map<string, number>;
  readonly tables: Map<string, string>;
  readonly session: object;
  readonly sets: ResultSet[];
  counted: number;
  quiet: boolean;
  error: TsqlError | undefined;
};
type Step = (scope: Scope) => void;

const WORDS = /--[^\n]*|\s+|N?'(?:[^']|'')*'|0x[0-9A-Fa-f]*|@@?\w+|[A-Za-z_]\w*|\[\w+\]|\d+|<>|<=|>=|[-+*/%(),.;=<>]/gy;

const wordsOf = (text: string): Word[] => {
  const words: Word[] = [];
  WORDS.lastIndex = 0;
  for (let end = 0; end < text.length; end = WORDS.lastIndex) {
    const [word] = WORDS.exec(text) ?? [];
    if (word === undefined) throw new TsqlError(102, `incorrect syntax near ${text.slice(end, end + 30)}`);
    if (!/^(\s|--)/.test(word)) words.push(word);
  }
  return words;
};

const STARTS = new Set([
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'SET',
  'DECLARE',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'IF',
  'THROW',
  'CREATE',
  'ALTER',
  'EXEC',
  'DROP',
  'TRUNCATE',
  'GRANT',
]);

/** A table of the server's own, as a query over what stands here. */
const SYSTEM: Readonly<Record<string, string>> = {
  partition_functions: 'sys_partition_functions',
  partition_schemes: 'sys_partition_schemes',
  partitions: `(SELECT 1 AS object_id, 1 AS index_id, slot + 1 AS partition_number, COUNT(*) AS rows
    FROM access_token GROUP BY slot) AS partitions`,
};

/** A database that understands the T-SQL of this package. */
/** A database; `quiet` where the server's setting `user options` has NOCOUNT, which each session begins with. */
export function createTsqlDatabase({ quiet = false }: { readonly quiet?: boolean } = {}) {
  const database: Database = new DatabaseSync(':memory:');
  database.function('fixed', { deterministic: true }, (value, length) => {
    if (value === null) return null;
    const padded = new Uint8Array(Number(length));
    padded.set((value as Uint8Array).subarray(0, Number(length)));
    return padded;
  });
  database.exec('CREATE TEMP TABLE sys_partition_functions (name); CREATE TEMP TABLE sys_partition_schemes (name);');
  const programs = new Map<string, Step>();
  const procedures = new Map<string, Step>();
  const locks = new Map<string, object>();
  let tables = 0;
  database.exec('CREATE TEMP TABLE roles (name TEXT PRIMARY KEY)'); // nobody here has any privileges, and nobody lacks one
  let depth = 0;
  const begin = () => {
    if (depth === 0) database.exec('BEGIN');
    depth += 1;
  };
  const commit = () => {
    depth -= 1;
    if (depth === 0) database.exec('COMMIT');
  };
  const rollback = () => {
    depth = 0;
    database.exec('ROLLBACK');
  };

  /** The query in SQLite's words, with the names of what it binds. */
  const rewrite = (words: readonly Word[], scope: Scope): { sql: string; bound: Record<string, Value> } => {
    const bound: Record<string, Value> = {};
    const limits: (string | undefined)[] = [undefined];
    let at = 0;
    const expression = (until: (depth: number) => boolean): string => {
      const out: string[] = [];
      const depth = limits.length;
      while (at < words.length && !until(depth)) out.push(word());
      return out.join(' ');
    };
    const parenthesised = (): string => {
      at += 1; // (
      limits.push(undefined);
      const inner = expression(() => words[at] === ')');
      at += 1; // )
      const limit = limits.pop();
      return `${inner}${limit === undefined ? '' : ` LIMIT ${limit}`}`;
    };
    const word = (): string => {
      const current = words[at] ?? '';
      const next = words[at + 1];
      const upper = current.toUpperCase();
      if (current === '(') return `(${parenthesised()})`;
      at += 1;
      if (upper === 'CAST' && next === '(') {
        at += 1;
        const value = expression(() => words[at] === 'AS');
        at += 1;
        const type = words[at];
        at += 1;
        const length = words[at] === '(' ? parenthesised() : '';
        at += 1;
        return type === 'binary' ? `fixed(${value}, ${length})` : value;
      }
      if (upper === 'TOP' && next === '(') {
        limits[limits.length - 1] = parenthesised();
        return '';
      }
      if (upper === 'WITH' && next === '(') {
        parenthesised();
        return '';
      }
      if (upper === 'OBJECT_ID' && next === '(') {
        const [name = '', kind] = argumentsOf();
        if (kind === "'P'") return procedures.has(name.slice(1, -1)) ? '1' : 'NULL';
        return `(SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ${name})`;
      }
      if (upper === 'INDEXPROPERTY')
        return `(SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ${argumentsOf().at(-2)})`;
      if (upper === 'DATABASE_PRINCIPAL_ID') return `(SELECT 1 FROM temp.roles WHERE name = ${argumentsOf()[0]})`;
      if (upper === 'COL_LENGTH') {
        const [table, column] = argumentsOf();
        return `(SELECT 1 FROM pragma_table_xinfo(${table}) WHERE name = ${column})`;
      }
      if (upper === 'INDEX_COL') {
        const [table = '', , column] = argumentsOf();
        return `(SELECT name FROM pragma_index_info(${table.replace(/'$/, "_pk'")}) WHERE seqno = ${column} - 1)`;
      }
      if (upper === 'SYS' && next === '.') {
        const table = SYSTEM[words[at + 1] ?? ''];
        if (table === undefined) throw new TsqlError(208, `invalid object name sys.${words[at + 1]}`);
        at += 2;
        return table;
      }
      if (upper === 'ERROR_NUMBER') {
        parenthesised();
        return String(scope.error?.number ?? 'NULL');
      }
      if (/^0x/.test(current)) return `x'${current.slice(2)}'`;
      if (/^N'/.test(current)) return current.slice(1);
      if (upper === '@@TRANCOUNT') return database.isTransaction ? '1' : '0';
      if (upper === 'INSERTED' && next === '.') {
        at += 1;
        return '';
      }
      if (current.startsWith('@')) {
        const table = scope.tables.get(current);
        if (table !== undefined) return table;
        const value = scope.values.get(current);
        if (value === undefined) throw new TsqlError(137, `must declare the scalar variable ${current}`);
        const name = current.replace('@@', '@sys_');
        bound[name] = value;
        return name;
      }
      return current;
    };
    /** The arguments of a call whose name was read. */
    const argumentsOf = (): string[] => parenthesised().replaceAll(/\bN'/g, "'").split(' , ');
    const sql = expression(() => false);
    const limit = limits.pop();
    return { sql: `${sql}${limit === undefined ? '' : ` LIMIT ${limit}`}`, bound };
  };

  const query = (words: readonly Word[], scope: Scope): ResultSet & { changed: number } => {
    const { sql, bound } = rewrite(words, scope);
    try {
      const statement = database.prepare(sql);
      statement.setReadBigInts(false);
      statement.setReturnArrays(true);
      const columns = statement.columns().map(({ name }) => name);
      if (columns.length === 0) return { columns, rows: [], changed: Number(statement.run(bound).changes) };
      const rows = statement.all(bound) as unknown as Value[][];
      return { columns, rows, changed: rows.length };
    } catch (cause) {
      throw numbered(cause as Error & { errcode?: number }, sql);
    }
  };

  const scalarOf = (words: readonly Word[], scope: Scope): Value =>
    query(['SELECT', ...words], scope).rows[0]?.[0] ?? null;
  const assign = (name: string, value: Value, scope: Scope) => {
    const length = scope.lengths.get(name);
    scope.values.set(name, typeof value === 'string' && length !== undefined ? value.slice(0, length) : value);
  };

  const compile = (text: string): Step => {
    const words = wordsOf(text);
    let at = 0;
    const is = (...expected: string[]) => expected.every((word, index) => words[at + index]?.toUpperCase() === word);
    const skip = (...expected: string[]) => {
      if (!is(...expected))
        throw new TsqlError(
          102,
          `incorrect syntax near ${words.slice(at, at + 6).join(' ')}: ${expected.join(' ')} is expected`,
        );
      at += expected.length;
    };
    /** The words up to where the nesting ends and the test holds. */
    const upTo = (ends: () => boolean): Word[] => {
      const from = at;
      for (let depth = 0; at < words.length && !(depth === 0 && ends()); at += 1) {
        if (words[at] === '(') depth += 1;
        if (words[at] === ')') depth -= 1;
      }
      return words.slice(from, at);
    };
    const rest = () => {
      const part = upTo(() => words[at] === ';');
      at += 1;
      return part;
    };
    const block = (ends: () => boolean): Step => {
      const steps: Step[] = [];
      while (at < words.length && !ends()) steps.push(statement());
      return (scope) => {
        for (const step of steps) step(scope);
      };
    };
    const statement = (): Step => {
      if (is(';')) {
        at += 1;
        return () => {};
      }
      if (is('BEGIN', 'TRANSACTION')) {
        rest();
        return begin;
      }
      if (is('COMMIT', 'TRANSACTION')) {
        rest();
        return commit;
      }
      if (is('ROLLBACK', 'TRANSACTION')) {
        rest();
        return rollback;
      }
      if (is('BEGIN', 'TRY')) return tryCatch();
      if (is('BEGIN')) {
        skip('BEGIN');
        const inner = block(() => is('END'));
        skip('END');
        return inner;
      }
      if (is('IF')) return condition();
      if (is('THROW')) {
        const [, number, , message = ''] = rest();
        return ({ error }) => {
          throw number === undefined ? error : new TsqlError(Number(number), message);
        };
      }
      if (is('DECLARE')) return declaration(rest().slice(1));
      if (is('SET')) return setting(rest().slice(1));
      if (is('EXEC')) return procedure(rest().slice(1));
      if (is('CREATE', 'TABLE')) return creation(rest());
      if (is('ALTER', 'TABLE')) return alteration(rest());
      if (is('CREATE', 'ROLE')) {
        const [, , role = ''] = rest();
        return () => void database.prepare('INSERT INTO temp.roles VALUES (?)').run(role);
      }
      if (is('GRANT')) return grant(rest());
      if (is('CREATE', 'INDEX')) {
        const index = whole(rest());
        return (scope) => void query(index, scope);
      }
      if (is('CREATE', 'PARTITION')) {
        const [, , kind = '', name] = rest();
        return () =>
          void database.prepare(`INSERT INTO sys_partition_${kind.toLowerCase()}s VALUES (?)`).run(String(name));
      }
      if (is('CREATE', 'OR', 'ALTER', 'PROCEDURE')) {
        const name = String(words[at + 4]);
        while (!is('AS', 'BEGIN')) at += 1;
        skip('AS');
        const body = statement();
        return () => void procedures.set(name, body);
      }
      if (is('DROP', 'INDEX')) {
        const [, , name] = rest();
        return () => database.exec(`DROP INDEX ${name}`);
      }
      if (is('TRUNCATE')) {
        const [, , table, , , , , partition] = rest();
        return () => database.exec(`DELETE FROM ${table} WHERE slot + 1 = ${partition}`);
      }
      if (is('SELECT')) return selection(rest());
      if (is('INSERT') || is('UPDATE') || is('DELETE')) return change(rest());
      throw new TsqlError(102, `incorrect syntax near ${words.slice(at, at + 6).join(' ')}`);
    };
    const tryCatch = (): Step => {
      skip('BEGIN', 'TRY');
      const attempt = block(() => is('END', 'TRY'));
      skip('END', 'TRY', 'BEGIN', 'CATCH');
      const recover = block(() => is('END', 'CATCH'));
      skip('END', 'CATCH');
      return (scope) => {
        try {
          attempt(scope);
        } catch (error) {
          if (!(error instanceof TsqlError)) throw error;
          recover({ ...scope, error });
        }
      };
    };
    const condition = (): Step => {
      skip('IF');
      const test = upTo(() => STARTS.has(words[at]?.toUpperCase() ?? ''));
      const then = statement();
      if (!is('ELSE')) return (scope) => (scalarOf(test, scope) ? then(scope) : undefined);
      skip('ELSE');
      const otherwise = statement();
      return (scope) => (scalarOf(test, scope) ? then(scope) : otherwise(scope));
    };
    const run = block(() => false);
    return run;
  };

  /** Gives nothing to anybody: it looks whether table and roles are there. */
  const grant = (words: Word[]): Step => {
    const table = words[words.indexOf('ON') + 1] ?? '';
    const roles = words.slice(words.indexOf('TO') + 1).filter((word) => word !== ',');
    return () => {
      const found = roles.filter((role) => database.prepare('SELECT 1 FROM temp.roles WHERE name = ?').get(role));
      const known = procedures.has(table) || database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table);
      if (!known || found.length < roles.length)
        throw new TsqlError(15151, `cannot find ${table}, or one of ${roles.join()}`);
    };
  };

  const declaration = ([name = '', type = '', ...more]: Word[]): Step => {
    if (type.toUpperCase() === 'TABLE') {
      return (scope) => {
        tables += 1;
        const table = `temp.variable_${tables}`;
        scope.tables.set(name, table);
        query(['CREATE', 'TABLE', table, ...columnsOf(more)], scope);
      };
    }
    const length = more[0] === '(' ? Number(more[1]) : undefined;
    const initial = more.includes('=') ? more.slice(more.indexOf('=') + 1) : undefined;
    return (scope) => {
      if (length !== undefined) scope.lengths.set(name, length);
      assign(name, initial ? scalarOf(initial, scope) : null, scope);
    };
  };

  const setting = (words: Word[]): Step => {
    const [name = '', ...more] = words;
    if (name.startsWith('@')) {
      return (scope) => assign(name, scalarOf(more.slice(1), scope), scope);
    }
    if (name.toUpperCase() === 'NOCOUNT') {
      return (scope) => {
        scope.quiet = more[0]?.toUpperCase() === 'ON';
      };
    }
    return () => {};
  };

  /** Locks of applications, which a session holds until it ends or gives them back. */
  const procedure = (words: Word[]): Step => {
    if (words[1]?.startsWith('@')) return call(words);
    const [into = '', , name] = words;
    const resource = words[words.indexOf('@Resource') + 2] ?? '';
    if (name !== 'sp_getapplock') throw new TsqlError(2812, `could not find stored procedure ${name}`);
    return (scope) => {
      const owner = locks.get(resource);
      const isFree = owner === undefined || owner === scope.session;
      if (isFree) locks.set(resource, scope.session);
      scope.values.set(into, isFree ? 0 : -1);
    };
  };

  /** A procedure of ours, with one parameter. */
  const call =
    ([name = '', parameter = '', , value = '']: Word[]): Step =>
    (scope) => {
      const body = procedures.get(name);
      if (body === undefined) throw new TsqlError(2812, `could not find stored procedure ${name}`);
      const values = new Map<string, Value>([
        ['@@ROWCOUNT', 0],
        [parameter, scope.values.get(value) ?? null],
      ]);
      body({ ...scope, values, lengths: new Map() });
    };

  const selection = (words: Word[]): Step => {
    const [, name = '', equals] = words;
    if (name.startsWith('@') && equals === '=') {
      return (scope) => {
        const [row] = query(['SELECT', ...words.slice(3)], scope).rows;
        if (row) assign(name, row[0] ?? null, scope);
      };
    }
    return (scope) => {
      const { columns, rows } = query(words, scope);
      scope.sets.push({ columns, rows });
      scope.values.set('@@ROWCOUNT', rows.length);
      if (!scope.quiet) scope.counted += rows.length;
    };
  };

  const change = (words: Word[]): Step => {
    const { text, into } = returning(isLimited(words) ? limited(words) : words);
    return (scope) => {
      const { columns, rows, changed } = query(text, scope);
      const target = into && scope.tables.get(into);
      if (target)
        for (const row of rows) database.prepare(`INSERT INTO ${target} VALUES (${row.map(() => '?')})`).run(...row);
      else if (columns.length > 0) scope.sets.push({ columns, rows });
      scope.values.set('@@ROWCOUNT', changed);
      if (!scope.quiet) scope.counted += changed;
    };
  };

  const creation = ([create = '', table = '', name = '', ...columns]: Word[]): Step => {
    const words = [create, table, name, ...columnsOf(columns)];
    return (scope) => void query(words, scope);
  };

  const alteration = (words: Word[]): Step => {
    const [alter = '', table = '', name = '', action, column = '', constraint = '', ...expression] = words;
    if (action === 'SET') return () => {};
    if (action === 'DROP') return () => withoutKey(name, constraint);
    // A key may have no generated column in SQLite; an index that is unique may.
    if (column === 'CONSTRAINT') {
      const key = whole(expression).slice(3);
      return (scope) => void query(['CREATE', 'UNIQUE', 'INDEX', constraint, 'ON', name, ...key], scope);
    }
    const computed = expression.slice(
      0,
      expression.includes('PERSISTED') ? expression.indexOf('PERSISTED') : undefined,
    );
    const added = [alter, table, name, 'ADD', 'COLUMN', column, 'AS', '(', ...computed, ')'];
    return (scope) => void query(added, scope);
  };

  /** A table takes another key in SQLite when it is made anew. */
  const withoutKey = (table: string, constraint: string) => {
    const row = database.prepare("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?").get(table);
    const made = String(row?.sql).replace(new RegExp(`, CONSTRAINT ${constraint} PRIMARY KEY \\([^)]*\\)`), '');
    const columns = database.prepare(`SELECT name FROM pragma_table_xinfo('${table}') WHERE hidden = 0`).all();
    const names = columns.map((each) => each.name).join();
    database.exec(`ALTER TABLE ${table} RENAME TO before; ${made};
      INSERT INTO ${table} (${names}) SELECT ${names} FROM before; DROP TABLE before;`);
  };

  return {
    /** Runs a batch for a session, as one call of sp_executesql or as a plain batch. */
    run(session: object, text: string, values: Readonly<Record<string, Value>> = {}): Outcome {
      const program = programs.get(text) ?? compile(text);
      programs.set(text, program);
      const scope: Scope = {
        ...{ values: new Map([['@@ROWCOUNT', 0], ...Object.entries(values)]), lengths: new Map(), tables: new Map() },
        ...{ session, sets: [], counted: 0, quiet, error: undefined },
      };
      const wasOpen = database.isTransaction;
      try {
        program(scope);
      } catch (error) {
        if (database.isTransaction) rollback(); // XACT_ABORT
        throw error;
      } finally {
        for (const table of scope.tables.values()) database.exec(`DROP TABLE ${table}`);
      }
      if (wasOpen !== database.isTransaction && Object.keys(values).length > 0) {
        throw new TsqlError(266, 'the transaction count differs before and after the batch');
      }
      return scope;
    },
    /** What a session holds ends with it. */
    end(session: object): void {
      for (const [resource, owner] of locks) if (owner === session) locks.delete(resource);
    },
    /** Everything that is stored. */
    dump(): string {
      const names = database.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all();
      const rows = names.flatMap(({ name }) => database.prepare(`SELECT * FROM ${name}`).all());
      const shown = (value: unknown) =>
        value instanceof Uint8Array ? `${Buffer.from(value).toString('hex')} ${Buffer.from(value)}` : value;
      return rows.map((row) => Object.values(row).map(shown).join('|')).join('\n');
    },
    close: () => database.close(),
  };
}

const numbered = (cause: Error & { errcode?: number }, sql: string): TsqlError => {
  if (cause instanceof TsqlError) return cause;
  const numbers: Record<number, number> = { 1555: 2627, 2067: 2601, 1299: 515, 275: 2628 };
  const missing = /no such table/.test(cause.message) ? 208 : 50_000;
  return new TsqlError(numbers[cause.errcode ?? 0] ?? missing, `${cause.message}: ${sql}`);
};

/** An index without its place in a scheme of partitions. */
const whole = (words: readonly Word[]): Word[] => words.slice(0, words.indexOf(')') + 1);

const isLimited = (words: readonly Word[]) => words[0] === 'DELETE' && words[1] === 'TOP';

/** `DELETE TOP (n) FROM t FROM t WITH (…) WHERE condition`, which SQLite has by the ids of rows. */
const limited = (words: readonly Word[]): Word[] => {
  const from = words.indexOf('FROM');
  const table = words[from + 1] ?? '';
  const where = words.indexOf('WHERE');
  if (words[from + 2] !== 'FROM' || words[from + 3] !== table) throw new TsqlError(1018, 'incorrect syntax near INDEX');
  const top = words.slice(words.indexOf('TOP'), from);
  const due = words[where + 1] ?? '';
  return [
    'DELETE',
    'FROM',
    table,
    'WHERE',
    'rowid',
    'IN',
    '(',
    'SELECT',
    ...top,
    'rowid',
    'FROM',
    table,
    ...words.slice(where),
    'ORDER',
    'BY',
    due,
    ')',
  ];
};

/** OUTPUT stands before WHERE, RETURNING at the end. */
const returning = (words: readonly Word[]): { text: readonly Word[]; into?: string } => {
  const output = words.indexOf('OUTPUT');
  if (output < 0) return { text: words };
  let where = output;
  for (let depth = 0; depth > 0 || words[where] !== 'WHERE'; where += 1) {
    if (words[where] === '(') depth += 1;
    if (words[where] === ')') depth -= 1;
  }
  const list = words.slice(output + 1, where);
  const into = list.indexOf('INTO');
  const given = into < 0 ? list : list.slice(0, into);
  const text = [...words.slice(0, output), ...words.slice(where), 'RETURNING', ...given];
  return into < 0 ? { text } : { text, into: String(list[into + 1]) };
};

/** Columns of a table: bytes are BLOBs that are no longer than was said, numbers and flags are INTEGERs. */
const columnsOf = (words: readonly Word[]): Word[] => {
  const out: Word[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const column = words[at - 1] ?? '';
    if (/^(var)?(binary|char)$/.test(word)) {
      const length = words[at + 2] ?? '';
      out.push(/char/.test(word) ? 'TEXT' : 'BLOB');
      if (length !== 'max') out.push('CHECK', '(', 'length', '(', column, ')', '<=', length, ')');
      at += 3;
    } else if (/^(bigint|int|bit)$/.test(word)) out.push('INTEGER');
    else if (word === 'WITH')
      at += 5; // (FILLFACTOR = n)
    else if (word !== 'CLUSTERED') out.push(word);
  }
  return out;
};
