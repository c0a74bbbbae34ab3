import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { ConfigurationError } from '../../functions/config/faults.ts';
import type { StoreAccess } from '../../functions/config/functions.ts';
import { isOpened } from '../../functions/config/places.ts';
import { connectionUse } from '../../lib/connection.ts';
import { type DeploymentSettings, deployableConnections, deploymentWarnings } from '../../lib/deployable.ts';
import { type Document, exampleText } from '../config/documents.ts';

const settings: DeploymentSettings = { name: 'tokens', keys: { generations: [0], current: 0 }, hasVpc: false };

const inCache = (cache: Document, more: Document = {}): Document => ({
  accessTokenStores: { tokens: { cache: 'c' } },
  caches: { c: cache },
  ...more,
});
const inDatabase = (database: Document): Document => ({
  accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
  databases: { d: { engine: 'postgresql', ...database } },
});
const table = inCache({ engine: 'dynamodb' });
const secretArn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:d';
const server = { host: 'db.internal', database: 'oauth', user: 'oauth', password: { iam: true } };

const connectionsOf = (document: Document, changed: Partial<DeploymentSettings> = {}) =>
  deployableConnections(parseConfiguration(document).configuration, { ...settings, ...changed });

const faultsOf = (document: Document, changed: Partial<DeploymentSettings> = {}): string[] => {
  try {
    connectionsOf(document, changed);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message.split('\n  ').slice(1);
  }
};

const created =
  'accepted: nothing: the deployment creates this database, with IAM; or host, of a database that is there';
const clientLayer =
  'accepted: the ARN of a version of a layer with ibm_db and IBM’s native client, arn:aws:lambda:…:layer:NAME:1';
const passwords = 'accepted: {"iam": true} or {"secretArn": "arn:aws:secretsmanager:…"}';

describe('a deployment is refused for', () => {
  it.each<[string, Document, Partial<DeploymentSettings>, string[]]>([
    [
      'a cache in memory',
      inCache({ engine: 'memory' }),
      {},
      ['caches["c"].engine: found memory, which ends with each instance of a function; accepted: dynamodb or valkey'],
    ],
    [
      'an embedded database',
      inDatabase({ embedded: true }),
      {},
      [
        'databases["d"].embedded: found true: files that end with each instance of a function; accepted: false, or nothing',
      ],
    ],
    [
      'a Db2 without its native client',
      inDatabase({ ...server, engine: 'db2', password: { secretArn } }),
      {},
      [`db2.clientLayer: found nothing; ${clientLayer}`],
    ],
    [
      'a native client that is no version of a layer',
      inDatabase({ ...server, engine: 'db2', password: { secretArn } }),
      { db2: { clientLayer: 'arn:aws:lambda:eu-central-1:111122223333:layer:db2-client' } },
      [`db2.clientLayer: found text; ${clientLayer}`],
    ],
    [
      'a password for a server that is to be created, of an engine without IAM',
      inDatabase({ engine: 'sqlserver', password: { secretArn } }),
      {},
      [
        'databases["d"].password: found a password; accepted: nothing: the deployment creates this database, with passwords of its own; or host, of a database that is there',
      ],
    ],
    [
      'a server without TLS, of another engine',
      inDatabase({ ...server, engine: 'mariadb', password: { secretArn }, tls: false }),
      {},
      ['databases["d"].tls: found false; accepted: true, or nothing: its functions send tokens of IAM or a password'],
    ],
    [
      'a database on this machine',
      inDatabase({ url: 'postgresql://localhost/oauth' }),
      {},
      [
        'databases["d"].url: found this machine; accepted: a server that functions can reach, or nothing: then the deployment creates one',
      ],
    ],
    [
      'a server without user, password and database',
      inDatabase({ host: 'db.internal' }),
      {},
      [
        'databases["d"].user: found nothing; accepted: the user to connect as',
        `databases["d"].password: found nothing; ${passwords}`,
        'databases["d"].database: found nothing; accepted: the name of the database on the server',
      ],
    ],
    [
      'a password that only this machine has',
      inDatabase({ ...server, password: { env: 'PGPASSWORD' } }),
      {},
      [`databases["d"].password: found a variable of this machine’s environment; ${passwords}`],
    ],
    [
      'a server without TLS',
      inDatabase({
        ...server,
        password: { secretArn },
        tls: false,
      }),
      {},
      ['databases["d"].tls: found false; accepted: true, or nothing: its functions send tokens of IAM or a password'],
    ],
    [
      'certificates that only this machine has',
      inDatabase({ ...server, tls: { trustedCertificates: 'ca.pem' } }),
      {},
      [
        'databases["d"].tls: found files of this machine; accepted: true, or nothing: functions trust the authorities of Amazon RDS and the public ones',
      ],
    ],
    [
      'settings of a server beside none',
      inDatabase({ password: { env: 'PGPASSWORD' }, securityGroup: 'sg-0123456789abcdef0' }),
      {},
      [
        `databases["d"].password: found a password; ${created}`,
        `databases["d"].securityGroup: found a security group; ${created}`,
      ],
    ],
    [
      'a security group without its VPC',
      inDatabase({ ...server, securityGroup: 'sg-0123456789abcdef0' }),
      {},
      ['network.vpc: found nothing; accepted: the VPC of databases["d"].securityGroup'],
    ],
    [
      'a DynamoDB of this machine',
      inCache({ engine: 'dynamodb', tableName: 'tokens', endpoint: 'http://localhost:8000' }),
      {},
      ['caches["c"].endpoint: found this machine; accepted: nothing: the endpoint of the AWS Region'],
    ],
    [
      'a table that would be created elsewhere',
      inCache({ engine: 'dynamodb', region: 'eu-central-1' }),
      {},
      [
        'caches["c"].region: found a Region for a table that the deployment creates; accepted: nothing: the table is created in the Region of its stack; or tableName, of a table that is there',
      ],
    ],
    [
      'replicas of a table with TTL',
      table,
      { replicas: { regions: ['us-east-2', 'us-west-2'] } },
      [
        'caches["c"].nativeTimeToLive: found true, the default; accepted: false with replicas: a strongly consistent table has no TTL, and the purge removes what has expired',
      ],
    ],
    [
      'no store at all',
      {},
      {},
      [
        'the whole: found no store; accepted: at least one, in accessTokenStores, authorizationCodeStores, clientAccessTokenStores or artifactStores',
      ],
    ],
    [
      'a name that parameters cannot have',
      table,
      { name: 'aws-tokens' },
      [
        'name: found text; accepted: a letter and up to 59 letters, digits and -, but not aws… or ssm…: stacks and parameters are named for it',
      ],
    ],
    [
      'generations of keys that tokens cannot tell apart',
      table,
      { keys: { generations: [0, 0, 64], current: 0 } },
      ['keys.generations: found [0,0,64]; accepted: 1 to 4 whole numbers from 0 to 63, each once'],
    ],
    [
      'a current key that is not in the ring',
      table,
      { keys: { generations: [0, 1], current: 2 } },
      [
        'keys.current: found the number 2; accepted: one of the generations, 0 or 1; a new one is added first, and made current by a later deployment',
      ],
    ],
  ])('%s', (_, document, changed, faults) => {
    expect(faultsOf(document, changed)).toEqual(faults);
  });

  it('the example, all that is wrong with it at once', () => {
    const known = 'found the secret of an example, which everybody knows; accepted: the digest of a secret of your own';
    expect(faultsOf(JSON.parse(exampleText))).toEqual([
      'caches["OAuth AuthZ Code Cache"].engine: found memory, which ends with each instance of a function; accepted: dynamodb or valkey',
      'databases["oauth_db"].embedded: found true: files that end with each instance of a function; accepted: false, or nothing',
      'localDeployment.exampleData: found true; accepted: false, with clients and users of your own: the secrets of the examples are known to everybody',
      `clients["example-app"].secretDigests[0]: ${known}`,
      `clients["example-api"].secretDigests[0]: ${known}`,
    ]);
  });
});

describe('a deployment', () => {
  it('takes a table and databases, created or there, and says which functions need a network', () => {
    const [cache] = connectionsOf(table);
    const [own] = connectionsOf(inDatabase({ database: 'oauth' }));
    const vpc = { ...server, securityGroup: 'sg-0123456789abcdef0' };
    const [there] = connectionsOf(inDatabase(vpc), { hasVpc: true });
    const [outside] = connectionsOf(inDatabase(server));
    const [named] = connectionsOf(inCache({ engine: 'dynamodb', tableName: 'tokens', region: 'eu-central-1' }));
    const all = [cache, own, there, outside, named].flatMap((each) => each ?? []);
    expect(all.map(({ create, isInNetwork }) => [create !== undefined, isInNetwork])).toEqual([
      [true, false],
      [true, true],
      [false, true],
      [false, false],
      [false, false],
    ]);
    expect(cache?.kinds).toEqual(['accessTokenStores']);
  });

  it('takes a cache for look-ups, which whoever looks up writes artifacts to and a purge does not open', () => {
    const connections = connectionsOf({
      ...inDatabase({ database: 'oauth' }),
      accessTokenStores: { tokens: { storeIn: 'database', database: 'd', lookupCache: { cache: 'c' } } },
      caches: { c: { engine: 'dynamodb' } },
    });
    const cache = connections.find(({ name }) => name === 'c');
    expect(cache).toMatchObject({ kinds: [], cachesLookups: true });
    const usesOf = (accessTokenStores: StoreAccess) =>
      connections.map((each) => isOpened(each, { accessTokenStores }) && connectionUse({ accessTokenStores }, each));
    expect(usesOf('read')).toEqual([{ artifacts: 'write' }, { tokens: 'read' }]);
    expect(usesOf('write')).toEqual([{ artifacts: 'write' }, { tokens: 'write' }]);
    expect(usesOf('purge')).toEqual([false, { tokens: 'purge' }]);
    expect(isOpened({ kinds: [], cachesLookups: true }, { authorizationCodeStores: 'write' })).toBe(false);
  });

  it('does not look at what no store uses', () => {
    const unused = { ...table, caches: { ...table.caches, unused: { engine: 'memory' } } };
    expect(connectionsOf(unused).map(({ name }) => name)).toEqual(['c']);
  });

  it('takes the last of the generations, and four at a time', () => {
    expect(faultsOf(table, { keys: { generations: [63, 1, 2, 3], current: 63 } })).toEqual([]);
  });
});

describe('a warning is given for', () => {
  const warningsOf = (document: Document) =>
    deploymentWarnings(parseConfiguration(document).configuration).map(({ path, text }) => `${path}: ${text}`);

  it('a purge that reads a whole table every minute, and not for one that does so once an hour', () => {
    const every = (seconds: number): Document => ({
      accessTokenStores: { tokens: { cache: 'c', purgeExpiredTokensEvery: seconds } },
      caches: { c: { engine: 'dynamodb', nativeTimeToLive: false } },
    });
    expect(warningsOf(every(60))).toEqual([
      'accessTokenStores["tokens"].purgeExpiredTokensEvery: every 60 seconds the whole table is read, which DynamoDB ' +
        'charges for; set 3600 or more, or let the table remove what has expired (nativeTimeToLive)',
    ]);
    expect(warningsOf(every(3600))).toEqual([]);
    expect(warningsOf(table)).toEqual([]);
  });

  it('artifacts in the table of tokens, where functions write artifacts and should only read tokens', () => {
    const client = { tokenEndpointAuthMethod: 'private_key_jwt', jwks: { keys: [{ kty: 'EC' }] } };
    const document = (cache: string): Document => ({
      ...table,
      artifactStores: { artifacts: { cache } },
      caches: { c: { engine: 'dynamodb' }, other: { engine: 'dynamodb' } },
      clients: { app: client },
    });
    expect(warningsOf(document('c'))).toEqual([
      'caches["c"]: functions that should only read tokens write artifacts to their table: introspect; give the artifacts ' +
        'a cache of their own',
    ]);
    expect(warningsOf(document('other'))).toEqual([]);
  });

  it('a database that functions reach over the internet', () => {
    expect(warningsOf(inDatabase(server))).toEqual([
      'databases["d"]: functions reach it over the internet, if at all; give its securityGroup, and its VPC beside the ' +
        'configuration (network.vpc)',
    ]);
    expect(warningsOf(inDatabase({ ...server, securityGroup: 'sg-0123456789abcdef0' }))).toEqual([]);
    expect(warningsOf(inDatabase({}))).toEqual([]);
  });
});
