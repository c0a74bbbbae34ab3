/** The environment variables that functions, local deployment and command line read, and what holds without them. */
export const environment = {
  /** Path of the configuration file. */
  configurationFile: { variable: 'OAUTH_STORES', default: 'oauth-stores.json' },
  /**
   * What the deployment knows of caches, databases and clusters and the file does not, such as the names of tables that it
   * created: JSON of the sections `caches`, `databases` and `cassandra`, whose settings are laid over the file’s.
   */
  connections: { variable: 'OAUTH_STORES_CONNECTIONS' },
  /** The deployment’s keys, as JSON, themselves or wrapped by AWS KMS; the local deployment makes its own. */
  keyring: { variable: 'OAUTH_STORES_KEYS' },
  /** Namespace of the metrics in CloudWatch: one for each deployment of an account and Region. */
  metrics: { variable: 'OAUTH_STORES_METRICS', default: 'OAuth2Stores' },
  /** Names of the stores that a deployed function uses; each is needed only where there are several of its kind. */
  accessTokenStore: { variable: 'OAUTH_STORES_ACCESS_TOKENS' },
  authorizationCodeStore: { variable: 'OAUTH_STORES_CODES' },
  artifactStore: { variable: 'OAUTH_STORES_ARTIFACTS' },
  /** Port of the local deployment. */
  port: { variable: 'PORT', default: 8089 },
  /** Folder of the local deployment's embedded databases and keys. */
  dataDirectory: { variable: 'DATA_DIR', default: '.data' },
} as const;
