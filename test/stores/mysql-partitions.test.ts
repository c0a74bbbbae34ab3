import { createEngine } from '../../functions/stores/mysql.ts';
import { applySchema } from '../../functions/stores/mysql-schema.ts';
import { describePartitions } from './mysql-partitions.ts';
import { conformOn } from './mysql-server.ts';

const tested = { name: 'mysql', createEngine, applySchema } as const;
const url = String(process.env.MYSQL_URL);

describePartitions(tested, url);
await conformOn(tested, url, true);
