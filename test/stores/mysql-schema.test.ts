import { createEngine } from '../../functions/stores/mysql.ts';
import { diagnose } from '../../functions/stores/mysql-diagnosis.ts';
import { applySchema, findMissingScripts } from '../../functions/stores/mysql-schema.ts';
import { describeDeployment } from './mysql-deployment.ts';
import { describeSchema } from './mysql-schema.ts';

const { MYSQL_URL: url, MYSQL_CLIENT: client } = process.env;

describeSchema({ name: 'mysql', createEngine, applySchema, findMissingScripts, diagnose }, String(url), client);
describeDeployment('mysql', String(url));
