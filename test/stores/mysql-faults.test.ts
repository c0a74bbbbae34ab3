import { createEngine } from '../../functions/stores/mysql.ts';
import { applySchema } from '../../functions/stores/mysql-schema.ts';
import { startMysql } from '../engines/mysql.ts';
import { describeFaults } from './mysql-faults.ts';
import { describeTls } from './mysql-tls.ts';

describeFaults({ name: 'mysql', createEngine, applySchema }, startMysql);
describeTls({ name: 'mysql', createEngine, applySchema }, startMysql, { 'tls-version': '' });
