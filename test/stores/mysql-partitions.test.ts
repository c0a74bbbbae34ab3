import { createEngine } from '../../functions/stores/mysql.ts';
import { applySchema } from '../../functions/stores/mysql-schema.ts';
import { describePartitions } from './mysql-partitions.ts';

describePartitions({ name: 'mysql', createEngine, applySchema }, String(process.env.MYSQL_URL));
