import { createEngine } from '../../functions/stores/mariadb.ts';
import { applySchema } from '../../functions/stores/mariadb-schema.ts';
import { describePartitions } from './mysql-partitions.ts';

describePartitions({ name: 'mariadb', createEngine, applySchema }, String(process.env.MARIADB_URL));
