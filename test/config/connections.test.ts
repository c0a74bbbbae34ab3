import { describe, expect, it } from 'vitest';
import { readConfiguration } from '../../functions/config/configuration.ts';

const text = JSON.stringify({
  accessTokenStores: { tokens: { storeIn: 'database', database: 'oauth_db' } },
  authorizationCodeStores: { codes: { cache: 'codes' } },
  caches: { codes: { engine: 'dynamodb', nativeTimeToLive: false } },
  databases: { oauth_db: { engine: 'postgresql', pool: { maxActive: 3 } } },
});

describe('what a deployment knows of the connections', () => {
  it('is laid over what the configuration says of them, setting by setting', () => {
    const known = {
      caches: { codes: { tableName: 'codes-4f2a' } },
      databases: { oauth_db: { host: '127.0.0.1', user: 'oauth_reader', password: { iam: true } } },
    };
    const { configuration } = readConfiguration(text, JSON.stringify(known));
    expect(configuration.caches.codes).toMatchObject({ tableName: 'codes-4f2a', nativeTimeToLive: false });
    expect(configuration.databases.oauth_db).toMatchObject({
      user: 'oauth_reader',
      pool: { maxActive: 3 },
      tls: false,
    });
  });

  it('is checked like the rest', () => {
    expect(() => readConfiguration(text, '{"caches":{"codes":{"tableName":"?"}}}')).toThrow(
      'caches["codes"].tableName',
    );
    expect(() => readConfiguration(text, '{"caches":{"other":{}}}')).toThrow('caches["other"]');
    expect(() => readConfiguration(text, '{"caches":')).toThrow();
  });

  it('changes nothing where there is none', () => {
    expect(readConfiguration(text, '{}')).toEqual(readConfiguration(text));
  });
});
