import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector } from 'iovalkey';
import type { ConnectionSettings } from './connection.ts';

/**
 * A connection with its own password, asked for at that moment: the client knows one password, from its start. It is
 * verified before the client has the connection, so that a refusal reaches the calls that wait for it in its own words.
 * The client asks for a class.
 */
export const connectorOf = ({
  user,
  password,
  tls = false,
  connectTimeoutMs = 1000,
}: ConnectionSettings): (new (
  options: unknown,
) => AbstractConnector) =>
  class extends AbstractConnector {
    readonly #place: { host: string; port: number };

    constructor(options: unknown) {
      super(2000);
      const { host, port } = options as { host: string; port: number };
      this.#place = { host, port };
    }

    override async connect(): Promise<Socket> {
      this.connecting = true;
      const secret = typeof password === 'function' ? await password() : password;
      if (!this.connecting) throw new Error('Connection is closed.');
      const socket = tls ? connectTls({ ...this.#place, ...tls }) : createConnection(this.#place);
      this.stream = socket;
      const signal = AbortSignal.timeout(connectTimeoutMs);
      try {
        await once(socket, tls ? 'secureConnect' : 'connect', { signal });
        if (secret !== undefined) await authenticate(socket, user, secret, signal);
        return gathering(socket);
      } catch (error) {
        socket.on('error', () => {});
        socket.destroy();
        throw signal.aborted ? new Error(`no connection within ${connectTimeoutMs} ms`, { cause: error }) : error;
      }
    }
  };

/** So many calls go out together while those after them are still being made: the server is at work meanwhile. */
const TOGETHER = 4;

/**
 * Sends calls that are made in one turn of the event loop together, a few at a time, for a system call is the dearest part of
 * a small one: the calls that follow a batch of answers.
 */
function gathering(socket: Socket): Socket {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let gathered = 0;
  const send = () => {
    if (gathered > 0) socket.uncork();
    gathered = 0;
  };
  return Object.assign(socket, {
    write: (...args: unknown[]) => {
      if (gathered === 0) {
        socket.cork();
        process.nextTick(send);
      }
      gathered += 1;
      const hasRoom = write(...args);
      if (gathered === TOGETHER) send();
      return hasRoom;
    },
  });
}

/** https://valkey.io/commands/auth/, in RESP. */
async function authenticate(socket: Socket, user: string | undefined, password: string, signal: AbortSignal) {
  const words = ['AUTH', ...(user === undefined ? [] : [user]), password];
  socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
  let answer = '';
  while (!answer.endsWith('\r\n')) {
    const [chunk] = (await Promise.race([
      once(socket, 'data', { signal }),
      once(socket, 'close', { signal }).then(() => {
        throw new Error('Connection is closed.');
      }),
    ])) as [Buffer];
    answer += chunk.toString('latin1');
  }
  socket.pause();
  if (answer.startsWith('+OK')) return;
  throw Object.assign(new Error(answer.slice(1).trim()), { name: 'ReplyError' });
}
