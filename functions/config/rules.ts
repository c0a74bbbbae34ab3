import { consistencies } from './consistency.ts';
import {
  engineKinds,
  iamDatabaseEngines,
  kindOfEngine,
  MOST_SECONDS_BETWEEN_EMPTYINGS,
  partitionedEngines,
  schemaDatabaseEngines,
  urlSchemes,
} from './engines.ts';
import { type Fault, kindOf, when } from './faults.ts';
import { either, isObject } from './fields.ts';
import { isLocal, parsedUrl } from './location.ts';

// What one setting demands of another. The rules read a draft: settings that may themselves be at fault, so that all
// faults are told at once. A rule judges only what is there and of the right kind.

type Draft = Readonly<Record<string, unknown>>;
type Path = readonly unknown[];

export const storeSections = [
  'accessTokenStores',
  'authorizationCodeStores',
  'clientAccessTokenStores',
  'artifactStores',
] as const;

/** The section that a store's reference of each kind leads to. */
export const connectionSections = { cache: 'caches', database: 'databases', cassandra: 'cassandra' } as const;

/** The store settings of the local deployment, and the sections that they name a store of. */
export const localStores = {
  accessTokenStore: 'accessTokenStores',
  authorizationCodeStore: 'authorizationCodeStores',
  artifactStore: 'artifactStores',
} as const;

export function brokenRules(draft: unknown): Fault[] {
  const sections = draftOf(draft);
  const of = (section: string, rule: (path: Path, settings: Draft, sections: Draft) => Fault[]) =>
    Object.entries(draftOf(sections[section])).flatMap(([name, settings]) =>
      rule([section, name], draftOf(settings), sections),
    );
  return [
    ...storeSections.flatMap((section) => [...of(section, reference), ...of(section, consistency)]),
    ...of('accessTokenStores', lookups),
    ...of('accessTokenStores', emptyings),
    ...of('caches', eternity),
    ...Object.values(connectionSections).flatMap((section) => [...of(section, login), ...of(section, certificates)]),
    ...of('databases', address),
    ...of('databases', poolSizes),
    ...of('databases', partitions),
    ...of('clients', grants),
    ...proofs(['authorizer'], draftOf(sections.authorizer), sections),
    ...results(['authorizer'], draftOf(sections.authorizer)),
    ...(isObject(sections.localDeployment) ? local(['localDeployment'], sections.localDeployment, sections) : []),
  ];
}

function reference(path: Path, store: Draft, sections: Draft): Fault[] {
  const place = engineKinds.find((kind) => kind === store.storeIn);
  const name = place && store[place];
  if (!place || typeof name !== 'string' || name === '') return [];
  const section = connectionSections[place];
  const names = Object.keys(draftOf(sections[section]));
  return when(!names.includes(name), [...path, place], `a name that is not in ${section}`, oneOfNames(names, section));
}

function consistency(path: Path, store: Draft, sections: Draft): Fault[] {
  const { engine } = draftOf(draftOf(sections.cassandra)[String(store.cassandra)]);
  if (store.storeIn !== 'cassandra' || engine !== 'keyspaces') return [];
  return Object.entries(consistencies.keyspaces).flatMap(([setting, accepted]) => {
    const level = store[setting];
    const refused = level !== undefined && !accepted.some((each) => each === level);
    const known = Object.values(consistencies.cassandra)
      .flat()
      .find((each) => each === level);
    return when(refused, [...path, setting], known ?? kindOf(level), `on Amazon Keyspaces only ${either(accepted)}`);
  });
}

/** A revocation through one of two stores in one place must reach the cache that the other one looks into. */
function lookups(path: Path, store: Draft, sections: Draft): Fault[] {
  const here = draftOf(store.lookupCache);
  const name = here.cache;
  if (typeof name !== 'string' || name === '') return [];
  const names = Object.keys(draftOf(sections.caches));
  const setting = [...path, 'lookupCache'];
  const another = Object.entries(draftOf(sections.accessTokenStores)).find(
    ([, other]) => isSamePlace(draftOf(other), store) && draftOf(draftOf(other).lookupCache).cache !== name,
  );
  return [
    ...when(!names.includes(name), [...setting, 'cache'], 'a name that is not in caches', oneOfNames(names, 'caches')),
    ...when(
      store.storeIn === 'cache' && store.cache === name,
      [...setting, 'cache'],
      'the cache in which the store itself is',
      'another one, or no lookupCache',
    ),
    ...when(
      another,
      [...setting, 'cache'],
      `a cache that the store ${JSON.stringify(another?.[0])} does not have, whose records are in the same place`,
      'the same lookupCache for both: what is revoked through one must not be found good through the other',
    ),
    ...when(
      draftOf(draftOf(sections.caches)[name]).nativeTimeToLive === false,
      [...setting, 'cache'],
      'a cache from which nothing leaves by itself (nativeTimeToLive: false)',
      'one whose elements the engine removes',
    ),
  ];
}

const isSamePlace = (one: Draft, other: Draft) =>
  engineKinds.every((kind) => one.storeIn === other.storeIn && (one.storeIn !== kind || one[kind] === other[kind]));

const eternity = (path: Path, cache: Draft): Fault[] =>
  ['timeToLiveSeconds', 'timeToIdleSeconds'].flatMap((setting) =>
    when(
      cache.eternal === true && cache[setting] !== undefined,
      [...path, setting],
      'a limit of an eternal cache',
      'the limit or "eternal": true, not both',
    ),
  );

function login(path: Path, server: Draft): Fault[] {
  const { password, user, engine } = server;
  const url = parsedUrl(server.url);
  const userInUrl = Boolean(url?.username);
  const passwordInUrl = Boolean(url?.password) || url?.searchParams.has('password') === true;
  const elsewhere = !isLocal(server);
  const kept = 'for a server that is not on this machine {"env": "NAME"}, {"secretArn": "arn:…"} or {"iam": true}';
  const iam = draftOf(password).iam === true;
  const withIam = [...iamDatabaseEngines, 'valkey'];
  return [
    ...when(elsewhere && typeof password === 'string', [...path, 'password'], 'a password as plain text', kept),
    ...when(
      elsewhere && passwordInUrl,
      [...path, 'url'],
      'a URL with a password',
      `a URL without one; as password, ${kept}`,
    ),
    ...when(
      passwordInUrl && password !== undefined,
      [...path, 'password'],
      'a second password beside the URL’s',
      'one',
    ),
    ...when(userInUrl && user !== undefined, [...path, 'user'], 'a second user beside the URL’s', 'one'),
    ...when(
      iam && kindOfEngine(engine) !== undefined && !withIam.some((each) => each === engine),
      [...path, 'password', 'iam'],
      'IAM, which this engine has not',
      `on ${either(withIam)} only`,
    ),
    ...when(
      iam && user === undefined && !userInUrl,
      [...path, 'user'],
      'nothing',
      'the user that the IAM token is for',
    ),
    ...when(
      iam && engine === 'valkey' && server.hosts !== undefined && server.cacheName === undefined,
      [...path, 'cacheName'],
      'nothing',
      'the name of the cache that the IAM token is for',
    ),
    ...when(
      iam && elsewhere && server.tls === false,
      [...path, 'tls'],
      'false',
      'true: a token of IAM goes over TLS only',
    ),
  ];
}

function certificates(path: Path, server: Draft): Fault[] {
  const { clientCertificate, clientKey } = draftOf(server.tls);
  const accepted = 'the path of a PEM file: certificate and key go together';
  return [
    ...when(clientKey && !clientCertificate, [...path, 'tls', 'clientCertificate'], 'nothing', accepted),
    ...when(clientCertificate && !clientKey, [...path, 'tls', 'clientKey'], 'nothing', accepted),
  ];
}

function address(path: Path, database: Draft): Fault[] {
  const { url, engine } = database;
  const schemes = Object.entries(urlSchemes).find(([name]) => name === engine)?.[1] ?? [];
  const { protocol, searchParams } = parsedUrl(url) ?? {};
  // TLS and the pool have settings of their own, which a parameter must not undo.
  const further = [...(searchParams?.keys() ?? [])].filter((name) => !['host', 'user', 'password'].includes(name));
  return [
    ...when(
      protocol && schemes.length > 0 && !schemes.includes(protocol),
      [...path, 'url'],
      'a URL of another scheme',
      `for this engine ${either(schemes.map((each) => `${each}//…`))}`,
    ),
    ...when(
      engine === 'postgresql' && further.length > 0,
      [...path, 'url'],
      'a URL with parameters',
      'a URL without any; instead of sslmode and the like, tls',
    ),
    ...['host', 'port', 'database'].flatMap((part) =>
      when(
        url !== undefined && database[part] !== undefined,
        [...path, part],
        `a ${part} beside a URL`,
        'either url or host, port and database',
      ),
    ),
    ...when(
      database.schema !== undefined && !schemaDatabaseEngines.some((each) => each === engine),
      [...path, 'schema'],
      'a schema of this engine’s',
      `on ${either(schemaDatabaseEngines)} only`,
    ),
    ...when(
      url === undefined && database.host === undefined && database.port !== undefined,
      [...path, 'host'],
      'nothing',
      'the host that the port belongs to',
    ),
  ];
}

function poolSizes(path: Path, database: Draft): Fault[] {
  const pool = draftOf(database.pool);
  const bound = (lesser: string, greater: string) =>
    when(
      Number(pool[lesser]) > Number(pool[greater]),
      [...path, 'pool', lesser],
      `the number ${pool[lesser]}`,
      `at most ${greater}, which is ${pool[greater]}`,
    );
  return [...bound('initialSize', 'maxActive'), ...bound('minIdle', 'maxActive'), ...bound('minIdle', 'maxIdle')];
}

function partitions(path: Path, { engine, expiryPartitions }: Draft): Fault[] {
  const lacking = kindOfEngine(engine) === 'database' && !partitionedEngines.some((each) => each === engine);
  return when(
    expiryPartitions === true && lacking,
    [...path, 'expiryPartitions'],
    'true, which this engine cannot do',
    `on ${either(partitionedEngines)} only`,
  );
}

/** A partition has the length of one in which to be emptied, before it is written again. */
function emptyings(path: Path, { storeIn, database, purgeExpiredTokensEvery: every }: Draft, sections: Draft): Fault[] {
  const { expiryPartitions } = draftOf(draftOf(sections.databases)[String(database)]);
  return when(
    storeIn === 'database' && expiryPartitions === true && Number(every) > MOST_SECONDS_BETWEEN_EMPTYINGS,
    [...path, 'purgeExpiredTokensEvery'],
    `the number ${every}`,
    `at most ${MOST_SECONDS_BETWEEN_EMPTYINGS} where the database has expiryPartitions`,
  );
}

function grants(path: Path, { grantTypes, redirectUris, tokenEndpointAuthMethod }: Draft): Fault[] {
  if (!Array.isArray(grantTypes)) return [];
  const redirects = grantTypes.some((grant) => grant === 'authorization_code' || grant === 'implicit');
  const own = grantTypes.indexOf('client_credentials');
  return [
    ...when(
      redirects && Array.isArray(redirectUris) && redirectUris.length === 0,
      [...path, 'redirectUris'],
      'no redirect URI',
      'at least one, for authorization_code and implicit',
    ),
    ...when(
      tokenEndpointAuthMethod === 'none' && own >= 0,
      [...path, 'grantTypes', own],
      'client_credentials for a public client',
      'this grant for clients that prove who they are only (RFC 6749 §4.4)',
    ),
  ];
}

/** Proofs count once, so there must be a place to remember them in. */
function proofs(path: Path, { dpop, artifactStore }: Draft, sections: Draft): Fault[] {
  return dpop === undefined && artifactStore === undefined
    ? []
    : storeReference(path, 'artifactStore', artifactStore, 'artifactStores', sections);
}

/** An answer that API Gateway keeps is found by the token alone: it needs the one place of it, and no proof is asked again. */
function results(path: Path, { resultCacheSeconds, tokenFrom, dpop }: Draft): Fault[] {
  if (!(Number(resultCacheSeconds) > 0)) return [];
  const [place, ...others] = Array.isArray(tokenFrom) ? tokenFrom : [];
  return [
    ...when(
      dpop !== undefined,
      [...path, 'resultCacheSeconds'],
      `the number ${resultCacheSeconds}`,
      '0 with dpop: a kept answer would be given again without a proof',
    ),
    ...when(
      others.length > 0 || /^cookie:/.test(String(place)),
      [...path, 'tokenFrom'],
      others.length > 0 ? 'a list of several places' : 'a cookie',
      'with resultCacheSeconds one place, and no cookie: API Gateway keeps an answer by it',
    ),
  ];
}

function local(path: Path, deployment: Draft, sections: Draft): Fault[] {
  const { exampleData, host } = deployment;
  return [
    ...when(
      exampleData === true && typeof host === 'string' && !isLocal({ host }),
      [...path, 'host'],
      'an address that others can reach',
      '127.0.0.1 while example data are in use',
    ),
    ...Object.entries(localStores).flatMap(([setting, section]) =>
      storeReference(path, setting, deployment[setting], section, sections),
    ),
  ];
}

/** A store by its name, or without one the only store of its section. */
function storeReference(path: Path, setting: string, name: unknown, section: string, sections: Draft): Fault[] {
  const names = Object.keys(draftOf(sections[section]));
  const found = name === undefined ? names.length === 1 : names.some((each) => each === name);
  const kind = typeof name === 'string' ? `a name that is not in ${section}` : kindOf(name);
  return when(!found, [...path, setting], kind, oneOfNames(names, section));
}

const oneOfNames = (names: readonly string[], section: string) =>
  names.length === 0 ? `a name in ${section}, which has none yet` : either(names.map((each) => JSON.stringify(each)));

const draftOf = (value: unknown): Draft => (isObject(value) ? value : {});
