import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import type { StoreError } from '../../functions/domain/errors.ts';
import { connectionOf, connectionsOf, storeError } from '../../functions/stores/oracle-connection.ts';
import { diagnose } from '../../functions/stores/oracle-diagnosis.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import { createScratchFolder, run } from '../engines/launch.ts';

// Oracle's driver against servers that are none, refuse, or are not who they should be.

const app = { host: '127.0.0.1', database: 'oauth', user: 'app', password: 'app', tls: false } as const;

async function listen(accept: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => accept(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** What a listener says when it refuses: a packet REFUSE of Oracle Net. */
function refusal(code: number): Buffer {
  const said = Buffer.from(`(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=${code})(ERROR_STACK=(ERROR=(CODE=${code})(EMFI=4))))`);
  const packet = Buffer.alloc(12 + said.length);
  packet.writeUInt16BE(packet.length, 0);
  packet[4] = 4;
  packet[8] = 34;
  packet.writeUInt16BE(said.length, 10);
  said.copy(packet, 12);
  return packet;
}

const refusing = (code: number) => listen((socket) => socket.once('data', () => socket.end(refusal(code))));

const faultOf = async (settings: DatabaseSettings): Promise<string> => {
  const diagnosis = await diagnose(settings, ['oauth-server']);
  return 'fault' in diagnosis ? diagnosis.fault : `found: ${diagnosis.found}`;
};

/** What opening a connection comes to: the code of the failure, and what the driver said. */
const failureOf = (settings: DatabaseSettings): Promise<[code: string, cause: string]> =>
  connectionsOf(settings)
    .open()
    .then(
      () => ['', 'opened'],
      (error: StoreError) => [error.code, String((error.cause as Error | undefined)?.message ?? error.message)],
    );

describe('where a connection leads', () => {
  it('is a whole descriptor, which takes any name of a service and no option', async () => {
    const { connectString } = await connectionOf({ ...app, port: 1600, database: 'X' });
    expect(connectString).toBe(
      '(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT=1600))(CONNECT_DATA=(SERVICE_NAME=X)))',
    );
    for (const database of ['x)(INSTANCE_NAME=y', 'a b', "a'", '']) {
      await expect(connectionOf({ ...app, database })).rejects.toMatchObject({ code: 'unsupported' });
    }
    await expect(connectionOf({ ...app, host: 'db)(PORT=1' })).rejects.toMatchObject({ code: 'unsupported' });
    expect((await connectionOf({ ...app, host: '::1' })).connectString).toContain('(HOST=::1)');
  });

  it('asks for a password anew each time', async () => {
    let asked = 0;
    const password = () => `token ${++asked}`;
    expect((await connectionOf({ ...app, password })).password).toBe('token 1');
    expect((await connectionOf({ ...app, password })).password).toBe('token 2');
  });

  it('knows a server of Amazon RDS by the authorities of its Region, and any other by the common ones', async () => {
    const ofRds = await connectionOf({ ...app, host: 'db.abc.eu-central-1.rds.amazonaws.com', tls: {} });
    expect(ofRds.connectString).toContain('(PROTOCOL=tcps)');
    expect(ofRds.walletContent?.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(3);
    const { walletContent, connectString } = await connectionOf({ ...app, host: 'db.example', tls: {} });
    expect(walletContent).toBeUndefined();
    expect(connectString).toContain('(SSL_SERVER_DN_MATCH=yes)');
  });

  it('refuses another name for TLS than the host, which the driver cannot compare', async () => {
    await expect(connectionOf({ ...app, tls: { servername: 'db.example' } })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });
});

describe('a server that cannot be worked with', () => {
  const pool = { maxWaitMs: 1000 };

  it.each([
    ['refuses the port', async () => 1, 'unavailable', 'the port is refused: nobody listens at 127.0.0.1'],
    ['says nothing', () => listen(() => {}), 'unavailable', 'no answer from 127.0.0.1'],
    ['hangs up', () => listen((socket) => socket.destroy()), 'unavailable', 'ended the connection'],
    [
      'hangs up after it was greeted',
      () => listen((s) => s.once('data', () => s.resetAndDestroy())),
      'unavailable',
      'ended the connection',
    ],
    ['knows no such service', () => refusing(12514), 'unavailable', 'knows no service "oauth"'],
    ['has no free handler', () => refusing(12516), 'throttled', 'has too many connections'],
    ['is starting up', () => refusing(12528), 'unavailable', 'is starting up or shutting down'],
  ])('%s: is named in an error with a code, and in words', async (_, start, code, words) => {
    const port = await start();
    expect((await failureOf({ ...app, port, pool }))[0]).toBe(code);
    expect(await faultOf({ ...app, port, pool })).toContain(words);
  });

  it('is not found', async () => {
    expect((await failureOf({ ...app, host: 'nowhere.invalid', pool }))[0]).toBe('unavailable');
    expect(await faultOf({ ...app, host: 'nowhere.invalid', pool })).toBe('the host "nowhere.invalid" is not found');
  });
});

describe('TLS', async () => {
  const folder = await createScratchFolder('certificates');
  const file = (name: string) => join(folder.path, name);
  const made = async (name: string, host: string) => {
    const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
    await run(['openssl', 'req', '-x509', ...options, ...subject, '-keyout', file(`${name}.key`), '-out', file(name)]);
    return { cert: readFileSync(file(name), 'utf8'), key: readFileSync(file(`${name}.key`), 'utf8') };
  };
  const own = await made('own', 'localhost');
  const other = await made('other', 'db.test');
  const client = await made('client', 'app.test');
  afterAll(folder.remove);

  const serve = async (identity: object, greeted: (peer: string) => void = () => {}) => {
    const server = createTlsServer({ ...identity, requestCert: true, rejectUnauthorized: false }, (socket) => {
      greeted(String(socket.getPeerCertificate()?.subject?.CN));
      socket.on('error', () => {}).once('data', () => socket.end(refusal(12514)));
    }).listen(0, 'localhost');
    server.on('tlsClientError', () => {});
    await once(server, 'listening');
    afterAll(() => {
      server.close();
    });
    return (server.address() as AddressInfo).port;
  };
  const local = { ...app, host: 'localhost', pool: { maxWaitMs: 3000 } };

  it('reaches the listener behind it where one that is trusted signed its certificate', async () => {
    const port = await serve(own);
    expect((await failureOf({ ...local, port, tls: { ca: own.cert } }))[1]).toContain('"oauth" is not registered');
    expect(await faultOf({ ...local, port, tls: { ca: own.cert } })).toContain('knows no service');
  });

  it('shows a certificate of its own where there is one', async () => {
    let peer = '';
    const port = await serve(own, (name) => {
      peer = name;
    });
    await failureOf({ ...local, port, tls: { ca: own.cert, ...client } });
    expect(peer).toBe('app.test');
  });

  it('is refused with any other', async () => {
    const port = await serve(own);
    for (const tls of [{}, { ca: other.cert }, { ca: other.cert, ...client }]) {
      const [code, cause] = await failureOf({ ...local, port, tls });
      expect(code).toBe('unavailable');
      expect(cause).toMatch(/self-signed certificate|unable to (get|verify)/);
      expect(await faultOf({ ...local, port, tls })).toMatch(/^TLS failed with localhost/);
    }
  });

  it('is refused for another name than the host', async () => {
    const port = await serve(other);
    const [code, cause] = await failureOf({ ...local, port, tls: { ca: other.cert } });
    expect([code, cause]).toEqual(['unavailable', expect.stringContaining('localhost  not present in certificate')]);
  });

  it('is asked for of a server that has none, and nothing is said to it in the clear', async () => {
    let said = Buffer.alloc(0);
    const port = await listen((socket) =>
      socket.on('data', (data) => {
        said = Buffer.concat([said, data]);
        socket.end(refusal(12514));
      }),
    );
    expect((await failureOf({ ...local, host: '127.0.0.1', port, tls: {} }))[0]).toBe('unavailable');
    expect(said[0]).toBe(22); // a greeting of TLS
    expect(said.includes('oauth')).toBe(false);
    expect(await faultOf({ ...local, host: '127.0.0.1', port, tls: {} })).toMatch(/^TLS failed/);
  });
});

describe('an error of the server', () => {
  const errorOf = (code: string, message = '') => storeError(Object.assign(new Error(message), { code }));

  it.each([
    ['ORA-00001', 'conflict'],
    ['ORA-00060', 'throttled'],
    ['ORA-08177', 'throttled'],
    ['ORA-01410', 'throttled'],
    ['ORA-01013', 'timeout'],
    ['ORA-04021', 'timeout'],
    ['ORA-30006', 'timeout'],
    ['NJS-123', 'timeout'],
    ['ORA-00942', 'unsupported'],
    ['ORA-01031', 'unsupported'],
    ['ORA-06550', 'unsupported'],
    ['ORA-01950', 'unsupported'],
    ['ORA-65096', 'unsupported'],
    ['ORA-01407', 'invalid'],
    ['ORA-12899', 'invalid'],
    ['ORA-01438', 'invalid'],
    ['ORA-01017', 'unavailable'],
    ['ORA-28000', 'unavailable'],
    ['ORA-03113', 'unavailable'],
    ['ORA-12541', 'unavailable'],
    ['NJS-500', 'unavailable'],
  ])('%s is %s', (code, expected) => {
    expect(errorOf(code)).toMatchObject({ code: expected, cause: expect.any(Error) });
  });

  it('says which scripts are missing, in a block too', () => {
    const block = 'ORA-06550: line 4, column 3:\nPL/SQL: ORA-00942: table or view does not exist';
    expect(errorOf('ORA-06550', block).message).toContain('sql/oracle/oauth-server.sql');
  });
});
