import { createEngine } from '../../functions/stores/mysql.ts';
import { applySchema } from '../../functions/stores/mysql-schema.ts';
import { conformOn } from './mysql-server.ts';

await conformOn({ name: 'mysql', createEngine, applySchema }, String(process.env.MYSQL_URL));
