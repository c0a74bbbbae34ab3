import * as v from 'valibot';
import {
  cacheEngines,
  cassandraEngines,
  databaseEngines,
  iamDatabaseEngines,
  partitionedEngines,
  schemaDatabaseEngines,
} from './engines.ts';
import { either, flag, list, named, object, oneOf, only, seconds, text, variant, whole } from './fields.ts';
import { isLocal } from './location.ts';

// The sections `caches`, `databases` and `cassandra`: what stores are kept in.

// --- Secrets and TLS

/** A password as it may stand in the file: where to get it, or, for a server on this machine, the password itself. */
const password = v.pipe(
  v.union(
    [
      object({ env: text('Name of the environment variable that holds the password.') }),
      object({
        secretArn: text(
          'ARN of the secret in AWS Secrets Manager: the password itself, or JSON with a field `password`; to a database the user of its field `username` connects, if it has one.',
          /^arn:aws[a-z-]*:secretsmanager:/,
          'the ARN of a secret in AWS Secrets Manager',
        ),
      }),
      object({ iam: only(true, 'true', 'A token of AWS, made anew for each connection.') }),
      text('The password itself: only for a server on this machine.'),
    ],
    '{"env": "NAME"}, {"secretArn": "arn:aws:secretsmanager:…"}, {"iam": true} or, for a server on this machine, the password',
  ),
  v.description(
    `Where the password comes from. \`iam\`, a token of AWS in its place, is for ${either([...iamDatabaseEngines, 'valkey'])}.`,
  ),
);

const pemFile = (what: string) => text(`Path of a PEM file with ${what}, or its text.`);

const tls = v.pipe(
  v.union(
    [
      v.boolean(),
      object({
        trustedCertificates: v.exactOptional(pemFile('the certificates to trust in place of the usual ones')),
        clientCertificate: v.exactOptional(pemFile('the certificate to show to the server; needs `clientKey`')),
        clientKey: v.exactOptional(
          v.pipe(
            v.union(
              [
                object({ secretArn: text('ARN of a secret in AWS Secrets Manager: the PEM text of the key.') }),
                pemFile('the private key of `clientCertificate`'),
              ],
              'the path of a PEM file or {"secretArn": "arn:aws:secretsmanager:…"}',
            ),
            v.description(
              'The private key of `clientCertificate`; of a deployment a secret, which is in no file of it.',
            ),
          ),
        ),
        serverName: v.exactOptional(
          text('The name that the server’s certificate must carry, when it is not the host.'),
        ),
      }),
    ],
    'true, false or an object of trustedCertificates, clientCertificate, clientKey and serverName (text each)',
  ),
  v.description('TLS, with the server’s certificate verified. Default: true, but for a server on this machine false.'),
);

const user = text('The user to connect as.');
const hosts = (description: string) =>
  v.pipe(
    list(text('A server.', /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/, 'host:port'), description),
    v.minLength(1, 'at least one host:port'),
  );
const securityGroup = text(
  'The security group of an imported server: connections to it are allowed for the functions.',
  /^sg-[0-9a-f]+$/,
  'the id of a security group, such as sg-0123456789abcdef0',
);

/** `tls` as it holds when nothing is said of it: off within this machine, on for every other server. */
const withTls = <Server extends Record<string, unknown> & { tls?: v.InferOutput<typeof tls> }>(server: Server) => ({
  ...server,
  tls: server.tls ?? !isLocal(server),
});

// --- Caches

const timeToLiveSeconds = v.exactOptional(
  seconds('Seconds after which an element leaves the cache, whenever it was last used. Default: its expiry alone.'),
);
const timeToIdleSeconds = v.exactOptional(
  seconds('Seconds without use after which an element leaves the cache. Default: no limit.'),
);

const memoryCache = object({
  engine: oneOf(['memory'], 'The embedded cache, in the memory of the process: lost when it ends, shared with nobody.'),
  maxElements: v.exactOptional(
    whole(1, 100_000_000, 'The most elements at a time; a further one evicts another, live or not. Default: no limit.'),
  ),
  timeToLiveSeconds,
  timeToIdleSeconds,
  evictionPolicy: v.optional(
    oneOf(
      ['LRU', 'LFU', 'FIFO'],
      'Which element is evicted: the least recently used, the least often used, the oldest.',
    ),
    'LRU',
  ),
  eternal: v.optional(
    flag('Whether the cache ends no element of its own accord. A token expires all the same.'),
    false,
  ),
});

const dynamodbCache = object({
  engine: oneOf(['dynamodb'], 'Amazon DynamoDB.'),
  tableName: v.exactOptional(
    text(
      'An existing table. Default: the deployment creates one.',
      /^[A-Za-z0-9_.-]{3,255}$/,
      '3 to 255 of letters, digits, _ . -',
    ),
  ),
  region: v.exactOptional(text('The AWS Region. Default: the deployment’s own.')),
  endpoint: v.exactOptional(
    v.pipe(
      v.string('a URL'),
      v.url('a URL'),
      v.description('URL of a server that is not the AWS Region’s, such as DynamoDB Local.'),
    ),
  ),
  nativeTimeToLive: v.optional(
    flag('Whether DynamoDB removes what has expired, within days and without charge. Reads never rely on it.'),
    true,
  ),
});

const valkeyCache = v.pipe(
  object({
    engine: oneOf(['valkey'], 'Valkey or Redis 7, for instance Amazon ElastiCache.'),
    hosts: v.exactOptional(
      hosts('Existing servers, each host:port (port 6379 by default). Default: the deployment creates them.'),
    ),
    cluster: v.optional(flag('Whether the servers form a cluster; ElastiCache Serverless does.'), false),
    user: v.exactOptional(user),
    password: v.exactOptional(password),
    tls: v.exactOptional(tls),
    securityGroup: v.exactOptional(securityGroup),
    cacheName: v.exactOptional(
      text(
        'The name of a cache in Amazon ElastiCache (of a replication group, its id): what a token of IAM is for.',
        /^[a-z][a-z0-9-]{0,39}$/,
        'up to 40 lower-case letters, digits and -, beginning with a letter',
      ),
    ),
    serverless: v.optional(flag('Whether that is a cache of ElastiCache Serverless.'), false),
    timeToLiveSeconds,
    timeToIdleSeconds,
    maxMemoryMegabytes: v.exactOptional(
      whole(1, 100_000_000, 'The most memory that the deployment lets the cache take. Default: no limit.'),
    ),
    evictionPolicy: v.optional(
      oneOf(
        [
          'noeviction',
          'volatile-lru',
          'volatile-lfu',
          'volatile-random',
          'volatile-ttl',
          'allkeys-lru',
          'allkeys-lfu',
          'allkeys-random',
        ],
        'What the server does when its memory is full. All but noeviction remove live tokens and revocations.',
      ),
      'noeviction',
    ),
  }),
  v.transform(withTls),
);

export const cache = variant('engine', [memoryCache, dynamodbCache, valkeyCache], either(cacheEngines));

// --- Databases

const pool = v.pipe(
  object({
    initialSize: v.optional(whole(0, 1000, 'Connections opened at the start.'), 0),
    maxActive: v.optional(whole(1, 1000, 'The most connections at a time.'), 8),
    maxIdle: v.optional(whole(0, 1000, 'The most unused connections that are kept; more are closed at once.'), 8),
    minIdle: v.optional(whole(0, 1000, 'The unused connections that are kept ready.'), 0),
    maxWaitMs: v.optional(
      whole(1, 3_600_000, 'Milliseconds that a call waits for a connection before it fails.'),
      10_000,
    ),
    idleEvictionMs: v.optional(
      whole(0, 86_400_000, 'Milliseconds after which an unused connection beyond minIdle is closed; 0: never.'),
      60_000,
    ),
  }),
  v.description('The connection pool, of each process that uses the database.'),
);

const embeddedDatabase = object({
  engine: oneOf(['postgresql'], 'The only engine that can be embedded.'),
  embedded: only(
    true,
    'true or false',
    'The database runs inside the process (PGlite) and keeps its files in `directory`.',
  ),
  directory: v.exactOptional(
    text('Folder of the database’s files, relative to the data directory. Default: one named for the database.'),
  ),
});

const databaseServer = v.pipe(
  object({
    engine: oneOf(databaseEngines, 'The database management system.'),
    embedded: v.optional(only(false, 'true or false', 'The database is a server’s.'), false),
    url: v.exactOptional(
      v.pipe(
        v.string('a URL'),
        v.url('a URL'),
        v.description(
          'URL of an existing server and database, such as postgresql://host:5432/oauth; or give host, port and database. ' +
            'Default: the deployment creates the server.',
        ),
      ),
    ),
    host: v.exactOptional(text('Host of an existing server.')),
    port: v.exactOptional(whole(1, 65_535, 'Port of the server. Default: the engine’s usual one.')),
    database: v.exactOptional(text('Name of the database on the server.')),
    schema: v.exactOptional(
      text(
        `Where the tables are, for a user who does not own them; of ${either(schemaDatabaseEngines)}. Default: in the user’s own schema.`,
        /^[A-Za-z][A-Za-z0-9_]*$/,
        'letters, digits and _, beginning with a letter',
      ),
    ),
    user: v.exactOptional(user),
    password: v.exactOptional(password),
    tls: v.exactOptional(tls),
    securityGroup: v.exactOptional(securityGroup),
    pool: v.optional(pool, {}),
    expiryPartitions: v.optional(
      flag(
        `Whether access tokens are kept in partitions by their expiry, which the purge empties whole: on ${either(partitionedEngines)}. Once on, it stays on.`,
      ),
      false,
    ),
    validationQuery: v.exactOptional(
      text(
        'Query that tells a working connection from a broken one, which is replaced. Default: the engine’s cheapest.',
      ),
    ),
  }),
  v.transform(withTls),
);

export const database = variant('embedded', [embeddedDatabase, databaseServer], 'true or false');

// --- Cassandra

const keyspace = text('The keyspace of the tables.', /^[A-Za-z0-9_]{1,48}$/, '1 to 48 letters, digits and underscores');

const replication = v.pipe(
  variant(
    'strategy',
    [
      object({
        strategy: v.optional(oneOf(['SimpleStrategy'], 'One factor for the whole cluster.'), 'SimpleStrategy'),
        factor: v.optional(whole(1, 99, 'Replicas of each row.'), 1),
      }),
      object({
        strategy: oneOf(['NetworkTopologyStrategy'], 'A factor for each data center.'),
        factors: named(whole(1, 99, 'Replicas of each row.'), 'The factor of each data center, by its name.'),
      }),
    ],
    'SimpleStrategy or NetworkTopologyStrategy',
  ),
  v.description('Strategy and factor of replication: used only when the keyspace is created.'),
);

const cassandraCluster = v.pipe(
  object({
    engine: oneOf(['cassandra'], 'A self-managed cluster of Apache Cassandra.'),
    hosts: v.optional(hosts('Nodes to begin with, each host:port (port 9042 by default).'), ['localhost:9042']),
    localDataCenter: v.optional(text('The data center whose nodes are asked.'), 'datacenter1'),
    keyspace,
    replication: v.optional(replication, {}),
    user: v.exactOptional(user),
    password: v.exactOptional(password),
    tls: v.exactOptional(tls),
    securityGroup: v.exactOptional(securityGroup),
  }),
  v.transform(withTls),
);

const keyspaces = object({
  engine: oneOf(['keyspaces'], 'Amazon Keyspaces: with TLS and IAM always, replicated by AWS.'),
  keyspace,
  region: v.exactOptional(text('The AWS Region. Default: the deployment’s own.')),
  existing: v.optional(
    flag('Whether the keyspace is there already. Default: the deployment creates it, with its tables.'),
    false,
  ),
});

export const cassandra = variant('engine', [cassandraCluster, keyspaces], either(cassandraEngines));
