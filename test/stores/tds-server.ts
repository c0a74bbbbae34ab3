import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

// A server that speaks TDS 7.4 as far as a driver needs it (https://learn.microsoft.com/openspecs/windows_protocols/ms-tds):
// PRELOGIN with or without TLS, LOGIN7, batches, calls of sp_executesql, and the attention by which a client gives up.

export type Value = null | number | bigint | string | Uint8Array | boolean;

/** What a client sent: the text, and of a call its parameters, each with the type that it declared and has on the wire. */
export interface Sent {
  readonly session: object;
  readonly text: string;
  readonly parameters: Readonly<
    Record<string, { readonly declared: string; readonly type: string; readonly value: Value }>
  >;
  readonly bytes: number;
}
export interface ResultSet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}
export type Reply =
  | { readonly sets: readonly ResultSet[]; readonly counted: number }
  | { readonly errors: readonly { readonly number: number; readonly message: string; readonly severity?: number }[] }
  | 'silence'
  | 'cut';

export interface TdsSettings {
  readonly answer: (sent: Sent) => Reply;
  /** The error by which a login is refused. */
  readonly login?: (login: {
    user: string;
    password: string;
    database: string;
  }) => { number: number; message: string } | undefined;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** A session is over. */
  readonly ended?: (session: object) => void;
  /** A column's type, where it is not that of its values. */
  readonly typeOf?: (column: string) => ColumnType | undefined;
}
export type ColumnType = 'bigint' | 'int' | 'bit' | 'varbinary' | 'varchar';

const BATCH = 0x01;
const RPC = 0x03;
const REPLY = 0x04;
const ATTENTION = 0x06;
const LOGIN7 = 0x10;
const PRELOGIN = 0x12;
const SP_EXECUTESQL = 10;

export async function startTdsServer(settings: TdsSettings) {
  const sockets = new Set<Socket>();
  let logins = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    serve(socket, {
      ...settings,
      login: (login) => {
        logins += 1;
        return settings.login?.(login);
      },
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    /** How many sessions were opened. */
    logins: () => logins,
    /** Ends every connection without a word. */
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function serve(socket: Socket, settings: TdsSettings): void {
  const session = {};
  let channel: Duplex = socket;
  let tunnel: Duplex | undefined;
  let unanswered = false;
  let pending = Buffer.alloc(0);
  let message: Buffer[] = [];
  socket.on('close', () => settings.ended?.(session));

  const send = (payload: Buffer) => {
    const size = 4088;
    for (let from = 0; from === 0 || from < payload.length; from += size) {
      const part = payload.subarray(from, from + size);
      channel.write(Buffer.concat([header(REPLY, from + size >= payload.length, part.length), part]));
    }
  };
  const receive = (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 8 && pending.length >= pending.readUInt16BE(2)) {
      const length = pending.readUInt16BE(2);
      const [type = 0, status = 0] = pending;
      message.push(pending.subarray(8, length));
      pending = pending.subarray(length);
      if ((status & 1) === 0) continue;
      const whole = Buffer.concat(message);
      message = [];
      handle(type, whole);
    }
  };
  const respond = (sent: Sent) => {
    const reply = settings.answer(sent);
    if (reply === 'cut') socket.destroy();
    else if (reply === 'silence') unanswered = true;
    else send(answerOf(reply, settings.typeOf));
  };
  const handle = (type: number, payload: Buffer) => {
    if (type === PRELOGIN) {
      if (tunnel) tunnel.push(payload);
      else {
        send(prelogin(settings.tls !== undefined));
        if (settings.tls) startTls(settings.tls);
      }
    } else if (type === LOGIN7) {
      const refused = settings.login?.(loginOf(payload));
      if (!refused) send(Buffer.concat([loginAck, done(0, 0)]));
      else {
        send(Buffer.concat([errorToken({ ...refused, severity: 14 }), done(2, 0)]));
        socket.end();
      }
    } else if (type === ATTENTION) {
      if (unanswered) send(done(ERROR, 0));
      unanswered = false;
      send(done(0x20, 0));
    } else if (type === BATCH) {
      const text = payload.subarray(payload.readUInt32LE(0)).toString('utf16le');
      respond({ session, text, parameters: {}, bytes: payload.length });
    } else if (type === RPC) respond({ session, ...callOf(payload), bytes: payload.length });
    else throw new Error(`a message of type ${type}`);
  };
  // Until the handshake is over its records travel in PRELOGIN packets; then everything travels in records.
  const startTls = (tls: { key: string; cert: string }) => {
    const inner = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        const isHandshake = chunk[0] !== 0x17;
        socket.write(isHandshake ? Buffer.concat([header(PRELOGIN, true, chunk.length), chunk]) : chunk, callback);
      },
    });
    tunnel = inner;
    socket.off('data', receive);
    socket.on('data', (chunk: Buffer) => {
      if (pending.length > 0 || chunk[0] === PRELOGIN) receive(chunk);
      else inner.push(chunk);
    });
    const secure = new TLSSocket(inner as Socket, { isServer: true, ...tls, maxVersion: 'TLSv1.2' });
    secure.on('error', () => socket.destroy());
    secure.on('data', receive);
    channel = secure;
  };
  socket.on('data', receive);
}

const header = (type: number, isLast: boolean, length: number) => {
  const bytes = Buffer.alloc(8);
  bytes[0] = type;
  bytes[1] = isLast ? 1 : 0;
  bytes.writeUInt16BE(length + 8, 2);
  bytes[6] = 1;
  return bytes;
};

const ENCRYPT_ON = 1;
const ENCRYPT_NOT_SUPPORTED = 2;

const prelogin = (encrypts: boolean) =>
  // VERSION at 11, 6 bytes; ENCRYPTION at 17, 1 byte; the end
  Buffer.from([
    0,
    0,
    11,
    0,
    6,
    1,
    0,
    17,
    0,
    1,
    0xff,
    14,
    0,
    3,
    0xe8,
    0,
    0,
    encrypts ? ENCRYPT_ON : ENCRYPT_NOT_SUPPORTED,
  ]);

const loginOf = (payload: Buffer) => {
  const text = (at: number) =>
    payload.subarray(payload.readUInt16LE(at), payload.readUInt16LE(at) + 2 * payload.readUInt16LE(at + 2));
  const scrambled = Buffer.from(text(44));
  for (const [index, byte] of scrambled.entries()) {
    const plain = byte ^ 0xa5;
    scrambled[index] = ((plain & 0x0f) << 4) | (plain >> 4);
  }
  return {
    user: text(40).toString('utf16le'),
    password: scrambled.toString('utf16le'),
    database: text(68).toString('utf16le'),
  };
};

const short = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'utf16le')]);
const long = (text: string) => {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  return Buffer.concat([length, Buffer.from(text, 'utf16le')]);
};
const token = (kind: number, body: Buffer) => {
  const head = Buffer.alloc(3);
  head[0] = kind;
  head.writeUInt16LE(body.length, 1);
  return Buffer.concat([head, body]);
};
const loginAck = token(
  0xad,
  Buffer.concat([Buffer.from([1, 0x74, 0, 0, 4]), short('Microsoft SQL Server'), Buffer.from([14, 0, 0, 0])]),
);

const errorToken = ({ number, message, severity = 16 }: { number: number; message: string; severity?: number }) => {
  const head = Buffer.alloc(6);
  head.writeInt32LE(number);
  head[4] = 1;
  head[5] = severity;
  return token(0xaa, Buffer.concat([head, long(message), short('fake'), short(''), Buffer.from([1, 0, 0, 0])]));
};
const doneAs = (kind: number) => (status: number, count: number) => {
  const bytes = Buffer.alloc(13);
  bytes[0] = kind;
  bytes.writeUInt16LE(status, 1);
  bytes.writeBigUInt64LE(BigInt(count), 5);
  return bytes;
};
const done = doneAs(0xfd);
const doneInProc = doneAs(0xff);
const doneProc = doneAs(0xfe);
const MORE = 1;
const ERROR = 2;
const COUNT = 0x10;

const answerOf = (reply: Exclude<Reply, string>, typeOf: TdsSettings['typeOf']) => {
  if ('errors' in reply) return Buffer.concat([...reply.errors.map(errorToken), doneProc(ERROR, 0)]);
  const sets = reply.sets.flatMap((set) => [...setOf(set, typeOf), doneInProc(MORE, 0)]);
  return Buffer.concat([
    ...sets,
    doneInProc(MORE | COUNT, reply.counted),
    Buffer.from([0x79, 0, 0, 0, 0]),
    doneProc(0, 0),
  ]);
};

const collation = Buffer.from([0x09, 0x04, 0xd0, 0x00, 0x34]);
const TYPES: Record<ColumnType, { info: Buffer; write: (value: NonNullable<Value>) => Buffer; nothing: Buffer }> = {
  bigint: {
    info: Buffer.from([0x26, 8]),
    write: (value) => sized(8, (bytes) => bytes.writeBigInt64LE(BigInt(value as number), 1)),
    nothing: Buffer.from([0]),
  },
  int: {
    info: Buffer.from([0x26, 4]),
    write: (value) => sized(4, (bytes) => bytes.writeInt32LE(Number(value), 1)),
    nothing: Buffer.from([0]),
  },
  bit: { info: Buffer.from([0x68, 1]), write: (value) => Buffer.from([1, value ? 1 : 0]), nothing: Buffer.from([0]) },
  varbinary: {
    info: Buffer.from([0xa5, 0xff, 0xff]),
    write: (value) => chunked(Buffer.from(value as Uint8Array)),
    nothing: Buffer.alloc(8, 0xff),
  },
  varchar: {
    info: Buffer.concat([Buffer.from([0xa7, 0xff, 0xff]), collation]),
    write: (value) => chunked(Buffer.from(String(value), 'latin1')),
    nothing: Buffer.alloc(8, 0xff),
  },
};
const sized = (size: number, write: (bytes: Buffer) => void) => {
  const bytes = Buffer.alloc(size + 1);
  bytes[0] = size;
  write(bytes);
  return bytes;
};
const chunked = (bytes: Buffer) => {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(bytes.length));
  head.writeUInt32LE(bytes.length, 8);
  return bytes.length === 0 ? Buffer.alloc(12) : Buffer.concat([head, bytes, Buffer.alloc(4)]);
};

const kindOf = (value: Value | undefined): ColumnType =>
  value instanceof Uint8Array
    ? 'varbinary'
    : typeof value === 'string'
      ? 'varchar'
      : typeof value === 'boolean'
        ? 'bit'
        : 'int';

function setOf({ columns, rows }: ResultSet, typeOf: TdsSettings['typeOf']): Buffer[] {
  const types = columns.map(
    (name, index) => TYPES[typeOf?.(name) ?? kindOf(rows.find((row) => row[index] !== null)?.[index])],
  );
  const count = Buffer.alloc(3);
  count[0] = 0x81;
  count.writeUInt16LE(columns.length, 1);
  const described = columns.map((name, index) =>
    Buffer.concat([Buffer.from([0, 0, 0, 0, 9, 0]), types[index]?.info ?? Buffer.alloc(0), short(name)]),
  );
  const written = rows.map((row) =>
    Buffer.concat([
      Buffer.from([0xd1]),
      ...row.map(
        (value, index) => (value === null ? types[index]?.nothing : types[index]?.write(value)) ?? Buffer.alloc(0),
      ),
    ]),
  );
  return [count, ...described, ...written];
}

/** A call of sp_executesql: the text, the declaration of its parameters, and these. */
function callOf(payload: Buffer): Pick<Sent, 'text' | 'parameters'> {
  let at = payload.readUInt32LE(0);
  const take = (length: number) => {
    at += length;
    return payload.subarray(at - length, at);
  };
  if (take(2).readUInt16LE() !== 0xffff || take(2).readUInt16LE() !== SP_EXECUTESQL)
    throw new Error('not a call of sp_executesql');
  take(2);
  const read = (length: number, nothing: number): Buffer | null => (length === nothing ? null : take(length));
  const variable = (): Buffer | null => {
    const total = take(8).readBigUInt64LE();
    if (total === 0xffffffffffffffffn) return null;
    const parts: Buffer[] = [];
    for (let length = take(4).readUInt32LE(); length > 0; length = take(4).readUInt32LE()) parts.push(take(length));
    return Buffer.concat(parts);
  };
  const parameter = () => {
    const name = take(2 * (take(1)[0] ?? 0)).toString('utf16le');
    take(1);
    const kind = take(1)[0] ?? 0;
    if (kind === 0x26 || kind === 0x68) {
      const type = kind === 0x68 ? 'bit' : `int${8 * (take(1)[0] ?? 0)}`;
      if (kind === 0x68) take(1);
      const bytes = read(take(1)[0] ?? 0, 0);
      return {
        name,
        type,
        value:
          bytes &&
          (kind === 0x68 ? bytes[0] === 1 : bytes.length === 8 ? Number(bytes.readBigInt64LE()) : bytes.readInt32LE()),
      };
    }
    const isText = kind === 0xe7;
    if (!isText && kind !== 0xa5 && kind !== 0xad) throw new Error(`a parameter of type ${kind}`);
    const longest = take(2).readUInt16LE();
    if (isText) take(5);
    const bytes = longest === 0xffff ? variable() : read(take(2).readUInt16LE(), 0xffff);
    const type = `${isText ? 'nvarchar' : kind === 0xad ? 'binary' : 'varbinary'}(${longest === 0xffff ? 'max' : longest})`;
    return { name, type, value: bytes && (isText ? bytes.toString('utf16le') : new Uint8Array(bytes)) };
  };
  const text = String(parameter().value);
  const declared = new Map<string, string>();
  if (at < payload.length) {
    for (const [, name = '', type = ''] of String(parameter().value).matchAll(/@(\w+) ([^,]+)/g))
      declared.set(`@${name}`, type.trim());
  }
  const parameters: Record<string, { declared: string; type: string; value: Value }> = {};
  while (at < payload.length) {
    const { name, ...rest } = parameter();
    parameters[name] = { declared: declared.get(name) ?? 'undeclared', ...rest };
  }
  return { text, parameters };
}
