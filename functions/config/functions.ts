import type { Configuration } from './configuration.ts';
import { routes } from './routes.ts';
import type { storeSections } from './rules.ts';

/** The sections of oauth-stores.json that hold stores. */
export type StoreKind = (typeof storeSections)[number];

/** What is done with a store: looked up in, written to as well, or rid of what has expired. */
export type StoreAccess = 'read' | 'write' | 'purge';

/** The kinds of stores that a function uses, and how: what it opens, and all that it is permitted. */
export type StoreUse = Readonly<Partial<Record<StoreKind, StoreAccess>>>;

type HttpFunction = (typeof routes)[number]['handler'];

/** The deployed functions: each is a file in functions/handlers, and a bundle of its own. */
export type FunctionName = HttpFunction | 'authorizer' | 'purge';

const uses = {
  'issue-code': { authorizationCodeStores: 'write' },
  'exchange-code': { authorizationCodeStores: 'write', accessTokenStores: 'write' },
  'lookup-code': { authorizationCodeStores: 'read' },
  'remove-code': { authorizationCodeStores: 'write' },
  'issue-tokens': { accessTokenStores: 'write' },
  'refresh-tokens': { accessTokenStores: 'write' },
  'lookup-token': { accessTokenStores: 'read' },
  'revoke-token': { accessTokenStores: 'write' },
  'list-grants': { accessTokenStores: 'read' },
  'revoke-grants': { accessTokenStores: 'write' },
  'list-access-tokens': { accessTokenStores: 'read' },
  'revoke-access-token': { accessTokenStores: 'write' },
  introspect: { accessTokenStores: 'read' },
  revoke: { accessTokenStores: 'write' },
  'token-information': { accessTokenStores: 'read' },
  authorizer: { accessTokenStores: 'read' },
  purge: {
    accessTokenStores: 'purge',
    authorizationCodeStores: 'purge',
    clientAccessTokenStores: 'purge',
    artifactStores: 'purge',
  },
} as const satisfies Record<FunctionName, StoreUse>;

export const functionNames = Object.keys(uses) as FunctionName[];

/** Those that authenticate clients. */
const authenticating: readonly FunctionName[] = routes.flatMap(({ handler, authorization }) =>
  authorization === 'client' ? [handler] : [],
);

/**
 * What a function does with the stores under this configuration. A `jti` is to be taken once only, so a function that
 * checks signed assertions, or DPoP proofs, writes artifacts; where there are none to check, it is not permitted to.
 */
export function useOf(
  name: FunctionName,
  { clients, authorizer }: Pick<Configuration, 'clients' | 'authorizer'>,
): StoreUse {
  const signs = Object.values(clients).some(
    ({ tokenEndpointAuthMethod }) => tokenEndpointAuthMethod === 'private_key_jwt',
  );
  const checks = name === 'authorizer' ? authorizer.dpop !== undefined : authenticating.includes(name) && signs;
  return { ...uses[name], ...(checks && { artifactStores: 'write' as const }) };
}

/** What CloudFormation calls while a deployment is made: keys, and the schema of a database. */
export const provisioningFunctions = [
  'create-keys',
  'apply-schema',
  'apply-cassandra-schema',
  'apply-keyspaces-schema',
] as const;
export type ProvisioningFunction = (typeof provisioningFunctions)[number];

/** What AWS Secrets Manager calls to change a password. */
export type RotationFunction = 'rotate-database-password';

export type BundledFunction = FunctionName | ProvisioningFunction | RotationFunction;

/** Every function that is bundled. */
export const bundledFunctions: readonly BundledFunction[] = [
  ...functionNames,
  ...provisioningFunctions,
  'rotate-database-password',
];

/** Which files of the bundles a function needs for itself, and which an engine adds: its stores, its schema, or its users. */
export interface Manifest {
  readonly functions: Readonly<Record<string, readonly string[]>>;
  readonly engines: Readonly<Record<string, readonly string[]>>;
  readonly schemas: Readonly<Record<string, readonly string[]>>;
  readonly users: Readonly<Record<string, readonly string[]>>;
}
