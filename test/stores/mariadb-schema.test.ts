import { createEngine } from '../../functions/stores/mariadb.ts';
import { diagnose } from '../../functions/stores/mariadb-diagnosis.ts';
import { applySchema, findMissingScripts } from '../../functions/stores/mariadb-schema.ts';
import { describeDeployment } from './mysql-deployment.ts';
import { describeSchema } from './mysql-schema.ts';

const { MARIADB_URL: url, MARIADB_CLIENT: client } = process.env;

describeSchema({ name: 'mariadb', createEngine, applySchema, findMissingScripts, diagnose }, String(url), client);
describeDeployment('mariadb', String(url));
