import { mariadbProduct } from './mysql-connection.ts';
import { createSchemaOf } from './mysql-schema.ts';

// As MySQL's.

export const { applySchema, findMissingScripts } = createSchemaOf(mariadbProduct);
