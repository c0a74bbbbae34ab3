/**
 * Tokens in an instance of Amazon RDS, of the engine that is asked for:
 * `npx cdk synth --app 'node examples/rds/app.ts' -c engine=postgresql` (or mysql, mariadb, sqlserver, oracle, db2).
 *
 * What must be yours stands here as an example: the licence of Db2, and the layer with its client.
 */
import { App } from 'aws-cdk-lib';
import { type OAuthStoresLocation, ServiceStack, StoresStack } from 'oauth2-stores/cdk';

const options = {
  postgresql: { postgresqlInstance: { maxConnections: 800 } },
  mysql: { mysqlInstance: {} },
  mariadb: { mariadbInstance: {} },
  sqlserver: { sqlserverInstance: { edition: 'standard', passwordDays: 30 } },
  oracle: { oracleInstance: { edition: 'se2', license: 'license-included' } },
  db2: {
    db2: { clientLayer: 'arn:aws:lambda:eu-central-1:111122223333:layer:db2-client:1' },
    db2Instance: { edition: 'se', ibmCustomerId: '1234567', ibmSiteId: '1234567890' },
  },
} as const satisfies Record<string, Omit<OAuthStoresLocation, 'configuration'>>;

const isKnown = (engine: unknown): engine is keyof typeof options => String(engine) in options;

const app = new App();
const engine: unknown = app.node.tryGetContext('engine') ?? 'postgresql';
if (!isKnown(engine)) throw new Error(`engine: accepted: ${Object.keys(options).join(', ')}`);

const location: OAuthStoresLocation = {
  name: `oauth-${engine}`,
  configuration: {
    accessTokenStores: { tokens: { storeIn: 'database', database: 'oauth_db' } },
    authorizationCodeStores: { codes: { storeIn: 'database', database: 'oauth_db' } },
    databases: { oauth_db: { engine } },
  },
  ...options[engine],
};
const data = new StoresStack(app, 'Data', location);
new ServiceStack(app, 'Service', location).addStackDependency(data);
