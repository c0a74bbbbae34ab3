import { createEngine } from '../../functions/stores/mysql.ts';
import { applySchema } from '../../functions/stores/mysql-schema.ts';
import { startMysql } from '../engines/mysql.ts';
import { describeFaults } from './mysql-faults.ts';

describeFaults({ name: 'mysql', createEngine, applySchema }, startMysql);
