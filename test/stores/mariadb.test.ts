import { createEngine } from '../../functions/stores/mariadb.ts';
import { applySchema } from '../../functions/stores/mariadb-schema.ts';
import { conformOn } from './mysql-server.ts';

await conformOn({ name: 'mariadb', createEngine, applySchema }, String(process.env.MARIADB_URL));
