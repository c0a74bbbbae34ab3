import { due, statements as mysql, purge } from './mysql-statements.ts';
import type { Statements } from './sql-dialect.ts';

// MariaDB understands every statement of MySQL's. An index on an expression is one on a column that holds it.

export const statements: Statements = {
  ...mysql,
  purgeArtifacts: purge('artifact', ['kind', 'id'], 'retain_at'),
  backlog: { ...mysql.backlog, artifacts: due('artifact', 'retain_at') },
};
