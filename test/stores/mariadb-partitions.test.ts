import { createEngine } from '../../functions/stores/mariadb.ts';
import { applySchema } from '../../functions/stores/mariadb-schema.ts';
import { describePartitions } from './mysql-partitions.ts';
import { conformOn } from './mysql-server.ts';

const tested = { name: 'mariadb', createEngine, applySchema } as const;
const url = String(process.env.MARIADB_URL);

describePartitions(tested, url);
await conformOn(tested, url, true);
