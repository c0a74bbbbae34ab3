import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:tls';

// As much of the native protocol (version 4, https://cassandra.apache.org/_/native_protocol.html) as a client of Amazon
// Keyspaces needs to sign in and to ask one question.

const [ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED, QUERY, RESULT, PREPARE, EXECUTE, REGISTER] = [
  0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
];
const [AUTH_CHALLENGE, AUTH_RESPONSE, AUTH_SUCCESS] = [0x0e, 0x0f, 0x10];
const VERSION = 4;
const HEADER = 9;
const VARCHAR = 0x0d;
const BAD_CREDENTIALS = 0x0100;
const PROTOCOL_ERROR = 0x000a;

const short = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const int = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string) => Buffer.concat([short(Buffer.byteLength(value)), Buffer.from(value)]);
const bytes = (value: Buffer | null) => (value ? Buffer.concat([int(value.length), value]) : int(-1));

/** A result of rows of text. */
const rows = (table: string, all: readonly Readonly<Record<string, string>>[]) => {
  const columns = Object.keys(all[0] ?? {});
  return Buffer.concat([
    int(2),
    int(1), // one table for all columns
    int(columns.length),
    text('system'),
    text(table),
    ...columns.flatMap((column) => [text(column), short(VARCHAR)]),
    int(all.length),
    ...all.flatMap((row) => columns.map((column) => bytes(Buffer.from(String(row[column]))))),
  ]);
};
const NO_COLUMNS = [int(0), int(0)];
const prepared = Buffer.concat([int(4), short(2), Buffer.from('id'), ...NO_COLUMNS, int(0), ...NO_COLUMNS]);

const local = {
  key: 'local',
  cluster_name: 'keyspaces',
  data_center: 'eu-west-1',
  rack: 'a',
  release_version: '3.11.2',
};

export interface FakeKeyspaces {
  readonly port: number;
  /** What clients said to sign in, connection by connection. */
  readonly signatures: string[];
  /** From now on whatever is sent is not answered, and its connections are not closed. */
  freeze(): void;
  close(): void;
}

/** A server that lets in who answers its challenge with what `expected` makes of it. */
export async function startFakeKeyspaces(
  tls: { key: string; cert: string },
  nonce: string,
  accepts: (answer: string) => boolean,
): Promise<FakeKeyspaces> {
  const signatures: string[] = [];
  const sockets = new Set<Socket>();
  const frozen = new Set<Socket>();
  const server = createServer(tls, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= HEADER && received.length >= HEADER + received.readInt32BE(5)) {
        const length = HEADER + received.readInt32BE(5);
        const frame = received.subarray(0, length);
        received = received.subarray(length);
        if (!frozen.has(socket)) answer(socket, frame);
      }
    });
  });
  const answer = (socket: Socket, frame: Buffer) => {
    const reply = (opcode: number, body: Buffer) =>
      socket.write(
        Buffer.concat([
          Buffer.from([0x80 | VERSION, 0]),
          frame.subarray(2, 4),
          Buffer.from([opcode]),
          int(body.length),
          body,
        ]),
      );
    if ((frame[0] ?? 0) > VERSION) {
      return reply(
        ERROR,
        Buffer.concat([
          int(PROTOCOL_ERROR),
          text('Invalid or unsupported protocol version (5); supported versions are (3/v3, 4/v4)'),
        ]),
      );
    }
    const body = frame.subarray(HEADER);
    switch (frame[4]) {
      case OPTIONS:
        return reply(SUPPORTED, short(0));
      case STARTUP:
        return reply(AUTHENTICATE, text('org.apache.cassandra.auth.PasswordAuthenticator'));
      case AUTH_RESPONSE: {
        const said = body.subarray(4).toString();
        if (said === 'SigV4\0\0') return reply(AUTH_CHALLENGE, bytes(Buffer.from(`nonce=${nonce}`)));
        signatures.push(said);
        if (accepts(said)) return reply(AUTH_SUCCESS, bytes(null));
        return reply(ERROR, Buffer.concat([int(BAD_CREDENTIALS), text('Authentication failure')]));
      }
      case REGISTER:
        return reply(READY, Buffer.alloc(0));
      case PREPARE:
        return reply(RESULT, prepared);
      case EXECUTE:
        return reply(RESULT, rows('local', [{ cluster_name: 'keyspaces' }]));
      case QUERY: {
        const query = body.subarray(4, 4 + body.readInt32BE()).toString();
        if (/system\.local/.test(query)) return reply(RESULT, rows('local', [local]));
        if (/^USE /i.test(query))
          return reply(RESULT, Buffer.concat([int(3), text(query.slice(4).replaceAll('"', ''))]));
        return reply(RESULT, rows('peers', []));
      }
      default:
        return reply(ERROR, Buffer.concat([int(PROTOCOL_ERROR), text('not asked for here')]));
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    signatures,
    freeze: () => {
      for (const socket of sockets) frozen.add(socket);
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
