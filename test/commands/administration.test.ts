import { mkdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { lockFolder } from '../../bin/folder-lock.ts';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { inspectAccessToken } from '../../functions/domain/inspection.ts';
import { issueTokens } from '../../functions/domain/issuing.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { openStores, type Stores } from '../../functions/open-stores.ts';
import { createCommandLine } from './command-line.ts';

const document = {
  accessTokenStores: {
    tokens: { storeIn: 'database', database: 'embedded' },
    volatile: { storeIn: 'cache', cache: 'memory' },
  },
  authorizationCodeStores: { codes: { storeIn: 'cache', cache: 'memory' } },
  artifactStores: {
    sessions: { storeIn: 'database', database: 'embedded', purgeUpTo: 7 },
    unreachable: { storeIn: 'database', database: 'elsewhere' },
  },
  caches: { memory: { engine: 'memory' } },
  databases: {
    embedded: { engine: 'postgresql', embedded: true },
    elsewhere: { engine: 'postgresql', host: '127.0.0.1', port: 1 },
    deployed: { engine: 'postgresql' },
  },
};
const { dataDirectory, run, write } = createCommandLine(document);
const { configuration } = parseConfiguration(document);
const keyring = createKeyring([{ generation: 0, secret: Buffer.alloc(32, 1) }]);
const secrets: string[] = [];

let now = Date.now;
let accessTokenOfCarol: string;

/** Works on the embedded database from here, while no command does. */
async function inProcess(work: (stores: Stores) => Promise<void>): Promise<void> {
  const stores = await openStores(
    { ...configuration, artifactStores: {} },
    { keyring, clock: () => now(), dataDirectory },
  );
  await work(stores);
  await stores.close();
}

async function issue(stores: Stores, clientId: string, subject: string): Promise<string> {
  const authorization = {
    clientId,
    subject,
    applicationId: 'storefront',
    consentId: 'consent',
    grantType: 'password',
    scopes: [],
  };
  const issued = await issueTokens(stores.tokens('tokens'), { authorization, refreshToken: true });
  if (issued === 'barred') throw new Error('barred');
  secrets.push(issued.accessToken, String(issued.refreshToken));
  return issued.accessToken;
}

const list = async (...args: string[]) => {
  const { stdout } = await run(['list', '--store', 'tokens', '--json', ...args]);
  return JSON.parse(stdout) as { grants: Record<string, never>[]; next?: string };
};

const fault = (stderr: string) => ({ status: 1, stdout: '', stderr: `${stderr}\n` });

beforeAll(async () => {
  mkdirSync(dataDirectory, { recursive: true });
  await inProcess(async (stores) => {
    now = () => Date.now() - 864_000_000;
    for (let times = 0; times < 3; times += 1) await issue(stores, 'shop', 'expired');
    now = Date.now;
    for (const client of ['shop', 'app', 'shop']) await issue(stores, client, 'alice');
    await issue(stores, 'shop', 'bob\x1b[2J');
    accessTokenOfCarol = await issue(stores, 'app', 'carol');
  });
});

describe('list', () => {
  it('prints a table of grants with their tokens, by digests alone', async () => {
    const { status, stdout, stderr } = await run([
      'list',
      '--store',
      'tokens',
      '--subject',
      'alice',
      '--client',
      'app',
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^WHAT +ID +CLIENT +SUBJECT +SINCE +UNTIL +STATE$/),
      expect.stringMatching(new RegExp(`^grant +[\\w-]{16} +app +alice +${time} +active$`)),
      expect.stringMatching(new RegExp(`^ {2}refresh token +[\\w-]{43} +${time} +active$`)),
      expect.stringMatching(new RegExp(`^ {2}access token +[\\w-]{22} +${time} +${time} +active$`)),
      '',
    ]);
    for (const secret of secrets) expect(stdout).not.toContain(secret);
  });

  it('goes on where the page before ended', async () => {
    const { stdout } = await run(['list', '--store', 'tokens', '--subject', 'alice', '--limit', '2']);
    const shown = [...stdout.matchAll(/^grant +(\S+)/gm)].map(([, id]) => id);
    const after = /\nmore: --after (\S+)\n$/.exec(stdout)?.[1] ?? '';
    const { grants, next } = await list('--subject', 'alice', '--limit', '2', '--after', after);
    expect(new Set([...shown, ...grants.map(({ grant_id }) => grant_id)]).size).toBe(3);
    expect([shown.length, grants.length, next]).toEqual([2, 1, undefined]);
  });

  it('says of each grant and token what has become of it', async () => {
    const { grants } = await list('--subject', 'expired', '--application', 'storefront', '--consent', 'consent');
    expect(grants).toHaveLength(3);
    for (const grant of grants) {
      expect(grant).toMatchObject({
        client_id: 'shop',
        subject: 'expired',
        application_id: 'storefront',
        consent_id: 'consent',
        state: 'active',
        refresh_token: { state: 'expired' },
        access_tokens: [{ state: 'expired' }],
      });
    }
  });

  it('lets no name move the cursor of a terminal', async () => {
    const { stdout } = await run(['list', '--store', 'tokens', '--client', 'shop']);
    expect(stdout).toContain('bob�[2J');
    expect(stdout).not.toContain('\x1b');
  });

  it('says so when there is nothing', async () => {
    const { status, stdout } = await run(['list', '--store', 'tokens', '--subject', 'nobody']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'no grants\n' });
  });
});

describe('revoke', () => {
  it('asks first, and does nothing without a yes', async () => {
    for (const answer of ['', 'yesterday\n']) {
      const { status, stdout, stderr } = await run(['revoke', '--store', 'tokens', '--subject', 'alice'], answer);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toBe(
        'End every grant with subject "alice" in "tokens", and all of its tokens? [y/N] nothing was revoked\n',
      );
    }
    const { grants } = await list('--subject', 'alice');
    expect(grants.map(({ state }) => state)).toEqual(['active', 'active', 'active']);
  });

  it('ends one grant', async () => {
    const [one] = (await list('--subject', 'alice', '--client', 'app')).grants;
    const id = String(one?.grant_id);
    const { status, stdout } = await run(['revoke', '--store', 'tokens', '--grant', id], 'y\n');
    expect({ status, stdout }).toEqual({ status: 0, stdout: `the grant ${id} has ended\n` });
    const { grants } = await list('--subject', 'alice');
    expect(grants.filter(({ state }) => state === 'revoked')).toMatchObject([
      { grant_id: id, refresh_token: { state: 'revoked' }, access_tokens: [{ state: 'revoked' }] },
    ]);
  });

  it('ends every grant that matches, says how many, and bars what was authorized before', async () => {
    const authorizedAtMs = Date.now();
    const { status, stdout } = await run([
      'revoke',
      '--store',
      'tokens',
      '--subject',
      'carol',
      '--client',
      'app',
      '--yes',
    ]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '1 grant has ended\n' });
    await inProcess(async (stores) => {
      const tokens = stores.tokens('tokens');
      expect(await inspectAccessToken(tokens, accessTokenOfCarol)).toEqual({ active: false, reason: 'revoked' });
      const authorization = { clientId: 'app', subject: 'carol', grantType: 'authorization_code', scopes: [] };
      expect(await issueTokens(tokens, { authorization, refreshToken: true, authorizedAtMs })).toBe('barred');
    });
  });

  it('refuses what could be meant otherwise', async () => {
    const words = 'say what ends: --grant alone, or --subject, --client, --application, --consent';
    expect(await run(['revoke', '--yes'])).toEqual(fault(words));
    expect(await run(['revoke', '--yes', '--grant', 'A'.repeat(16), '--subject', 'alice'])).toEqual(fault(words));
    const characters = '--grant takes the 16 characters by which `list` names a grant';
    expect(await run(['revoke', '--yes', '--grant', 'short'])).toEqual(fault(characters));
  });
});

describe('purge', () => {
  it('removes what has expired, each store up to its limit, and goes on when one cannot be reached', async () => {
    const { status, stdout, stderr } = await run(['purge', '--limit', '2', '--seconds', '60']);
    expect(status).toBe(1);
    expect(stdout.split('\n')).toEqual([
      'tokens: removed 2 access tokens, 0 grants, 0 revocations; 4 more have expired',
      'sessions: removed 0 artifacts',
      'volatile, codes: in the memory of the process that serves it, which purges it',
      '',
    ]);
    expect(stderr).toMatch(/^unreachable: PostgreSQL cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1\n$/);
  });

  it('of one store removes the rest of it, and leaves what has not expired', async () => {
    const { status, stdout, stderr } = await run(['purge', 'tokens']);
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: 'tokens: removed 1 access tokens, 3 grants, 0 revocations\n',
      stderr: '',
    });
    const { grants } = await list('--application', 'storefront');
    expect(new Set(grants.map(({ subject }) => subject))).toEqual(new Set(['alice', 'bob\x1b[2J', 'carol']));
  });

  it.each(['0', '1e3'])('refuses the limit %s', async (limit) => {
    const { status, stdout, stderr } = await run(['purge', `--limit=${limit}`]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('It takes a whole number from 1 to 1000000.');
  });
});

describe('a store that cannot be worked on', () => {
  it('is one that another process has: nothing is opened beside it', async () => {
    const release = lockFolder(dataDirectory);
    const inUse = 'the data directory .data is in use by another process';
    try {
      expect(await run(['list', '--store', 'tokens', '--subject', 'alice'])).toEqual(fault(inUse));
      expect(await run(['revoke', '--store', 'tokens', '--subject', 'alice', '--yes'])).toEqual(fault(inUse));
      expect(await run(['purge', 'tokens'])).toEqual(fault(`tokens: ${inUse}`));
      expect(await run(['schema', 'embedded', '--apply'])).toEqual(fault(inUse));
    } finally {
      release();
    }
  });

  it('is one in the memory of another process', async () => {
    const words = '"memory" is in the memory of the process that serves it: no other process can see it';
    expect(await run(['list', '--store', 'volatile', '--subject', 'alice'])).toEqual(fault(words));
    expect(await run(['revoke', '--store', 'volatile', '--subject', 'alice', '--yes'])).toEqual(fault(words));
  });

  it('is one that is not named, or not there', async () => {
    const words = 'say with --store which store is meant; there is "tokens", "volatile"';
    expect(await run(['list', '--subject', 'alice'])).toEqual(fault(words));
    const absent = 'there is no store "sessions"; there is "tokens", "volatile"';
    expect(await run(['list', '--store', 'sessions', '--subject', 'alice'])).toEqual(fault(absent));
    const whose = 'say whose grants: --subject, --client, --application or --consent';
    expect(await run(['list', '--store', 'tokens'])).toEqual(fault(whose));
  });

  it('is one whose database was never opened', async () => {
    write('other.json', {
      ...document,
      databases: { ...document.databases, embedded: { ...document.databases.embedded, directory: 'other' } },
    });
    const words = 'there is no database in .data/other yet';
    expect(await run(['list', '-c', 'other.json', '--store', 'tokens', '--subject', 'alice'])).toEqual(fault(words));
  });

  it('is one of a configuration that is wrong, or absent', async () => {
    write('wrong.json', { purge: 60 });
    for (const command of ['purge', 'test-connection']) {
      const { status, stdout, stderr } = await run([command, '--config', 'wrong.json']);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^wrong\.json: 1 fault in the configuration:\n {2}purge: found an unknown field/);
    }
    expect((await run(['purge', '--config', 'absent.json'])).stderr).toMatch(/no such file.*absent\.json/);
  });
});

describe('schema', () => {
  it('prints the scripts that a DBA can run, for a database or a store in it', async () => {
    for (const name of ['embedded', 'elsewhere', 'sessions']) {
      const { status, stdout } = await run(['schema', name]);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^-- oauth2-stores: authorization codes/);
      expect(stdout).toContain('CREATE TABLE IF NOT EXISTS oauth_grant (');
      expect(stdout).toContain('CREATE TABLE IF NOT EXISTS client_access_token (');
    }
  });

  it('prints the users of the database too, and what leads from an older version to the newest', async () => {
    const { stdout } = await run(['schema', 'elsewhere', '--roles']);
    expect(stdout).toMatch(/CREATE TABLE IF NOT EXISTS oauth_grant \([\s\S]+CREATE ROLE %I LOGIN/);
    const upgrade = await run(['schema', 'elsewhere', '--from', '1']);
    expect(upgrade.stdout).toMatch(/^-- oauth2-stores: version 2 of oauth-server, from version 1/);
    expect(upgrade.stdout).not.toContain('CREATE');
    expect(await run(['schema', 'elsewhere', '--from', '2'])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await run(['schema', 'elsewhere', '--from', '3'])).toEqual(
      fault(
        'the schema oauth-server is of version 3, and this package knows 2: it was upgraded by a newer package, so use that one',
      ),
    );
    expect(await run(['schema', 'embedded', '--roles'])).toEqual(fault('"embedded" is embedded: it has one user'));
    expect(await run(['schema', 'elsewhere', '--apply', '--from', '1'])).toEqual(
      fault('--from is for printing: what is applied goes by the version that is there'),
    );
  });

  it('prints the partitions where the configuration asks for them', async () => {
    write('partitions.json', {
      databases: { parted: { engine: 'postgresql', host: '127.0.0.1', expiryPartitions: true } },
    });
    const { stdout } = await run(['schema', 'parted', '--roles', '--config', 'partitions.json']);
    expect(stdout).toMatch(
      /CREATE TABLE IF NOT EXISTS oauth_grant \([\s\S]+PARTITION BY LIST[\s\S]+CREATE ROLE %I LOGIN/,
    );
    expect((await run(['schema', 'elsewhere'])).stdout).not.toContain('PARTITION BY LIST');
  });

  it('applies them, and makes an embedded database where there is none', async () => {
    write('new.json', { databases: { fresh: { engine: 'postgresql', embedded: true } } });
    expect(await run(['schema', 'fresh', '--apply', '--config', 'new.json'])).toEqual({
      status: 0,
      stdout: 'the schema is applied to "fresh"\n',
      stderr: '',
    });
  });

  it('refuses what has none, what cannot be reached and what is not there', async () => {
    expect(await run(['schema', 'codes'])).toEqual(fault('"codes" is in memory: it has no schema'));
    expect(await run(['schema', 'elsewhere', '--apply'])).toEqual(
      fault('PostgreSQL cannot be reached: connect ECONNREFUSED 127.0.0.1:1'),
    );
    expect(await run(['schema', 'deployed', '--apply'])).toEqual(
      fault('the database "deployed" has neither url nor host: the deployment creates it, and its functions reach it'),
    );
    expect((await run(['schema', 'absent'])).stderr).toMatch(
      /^there is no connection or store "absent"; there is "memory" in caches, /,
    );
  });
});
