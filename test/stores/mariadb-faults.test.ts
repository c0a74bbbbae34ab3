import { createEngine } from '../../functions/stores/mariadb.ts';
import { applySchema } from '../../functions/stores/mariadb-schema.ts';
import { startMariadb } from '../engines/mariadb.ts';
import { describeFaults } from './mysql-faults.ts';
import { describeTls } from './mysql-tls.ts';

const version = /^\d+\.\d+/.exec(process.env.MARIADB_FETCHED ?? '')?.[0] ?? '';
describeFaults({ name: 'mariadb', createEngine, applySchema }, (settings) => startMariadb(version, settings));
describeTls({ name: 'mariadb', createEngine, applySchema }, (settings) => startMariadb(version, settings), {
  ssl: '0',
});
