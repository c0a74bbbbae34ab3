import * as v from 'valibot';
import { consistencies } from './consistency.ts';
import { flag, object, oneOf, seconds, text, variant, whole } from './fields.ts';

// The sections of stores: where each store keeps its records, how it purges them and how it finds them.

const purge = {
  purgeExpiredTokensEvery: v.optional(whole(1, 86_400, 'Seconds between two purges of what has expired.'), 60),
  purgeUpTo: v.optional(whole(1, 1_000_000, 'The most that one run of the purge removes.'), 1000),
};

const digested = {
  digest: v.optional(
    oneOf(
      ['SHA-256', 'HMAC-SHA-256'],
      'The digest of a value under which it is stored; the value itself never is. HMAC is keyed with the deployment’s pepper.',
    ),
    'SHA-256',
  ),
};

const issued = {
  ...digested,
  sealAttributes: v.optional(
    flag('Whether what the engine need not read of a record is sealed (AES-256-GCM) under the deployment’s key.'),
    false,
  ),
  foreignTokens: v.optional(
    flag(
      'Whether values that another server minted are stored and looked up too; some engines need a second round trip.',
    ),
    false,
  ),
};

const received = {
  accessTokenExpiresIn: v.optional(seconds('Seconds that an access token lives when its provider does not say.'), 3600),
  refreshTokenExpiresIn: v.optional(
    seconds('Seconds that a refresh token lives when its provider does not say.'),
    2_592_000,
  ),
};

const nameIn = (section: string) =>
  text(`The name of one of \`${section}\`.`, undefined, `the name of one of ${section}`);

/** A store that keeps its records in a cache, a database or Cassandra, with these settings beside it. */
function store<const Settings extends v.ObjectEntries>(settings: Settings) {
  const where = 'Where the store keeps its records.';
  return variant(
    'storeIn',
    [
      object({
        storeIn: v.optional(oneOf(['cache'], where), 'cache'),
        cache: nameIn('caches'),
        ...purge,
        ...settings,
      }),
      object({
        storeIn: oneOf(['database'], where),
        database: nameIn('databases'),
        ...purge,
        ...settings,
      }),
      object({
        storeIn: oneOf(['cassandra'], where),
        cassandra: nameIn('cassandra'),
        readConsistency: v.exactOptional(
          oneOf(
            consistencies.cassandra.readConsistency,
            'Consistency of reads: on Keyspaces LOCAL_QUORUM (default), ONE or LOCAL_ONE; else ONE by default. ' +
              'What must happen once only is decided by lightweight transactions, whatever stands here.',
          ),
        ),
        writeConsistency: v.exactOptional(
          oneOf(
            consistencies.cassandra.writeConsistency,
            'Consistency of writes: on Keyspaces LOCAL_QUORUM, else ANY by default.',
          ),
        ),
        ...purge,
        ...settings,
      }),
    ],
    'cache, database or cassandra',
  );
}

const lookupCache = v.pipe(
  object({
    cache: nameIn('caches'),
    cacheSeconds: v.optional(
      whole(
        1,
        3600,
        'Seconds that a token found good is answered from the cache. A revocation is written to the cache too; should the cache lose it, this is how long the token is still found good.',
      ),
      30,
    ),
  }),
  v.description(
    'A cache in front of the store, for look-ups of access tokens. Everything else is the store’s. Default: none.',
  ),
);

export const accessTokenStore = store({ ...issued, lookupCache: v.exactOptional(lookupCache) });
export const authorizationCodeStore = store(issued);
export const clientAccessTokenStore = store(received);
export const artifactStore = store(digested);
