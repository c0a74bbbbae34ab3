import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

// Between IBM's driver and Apache Derby, which speak two dialects of one protocol (DRDA). Each block (DSS) of theirs is 6 bytes
// of head and objects of length, code point and value. Whatever is not named here goes through as it is.

/** What a block's objects become: `undefined` leaves one out. */
type Edit = (codePoint: number, value: Buffer) => Buffer | undefined;

const ACCRDBRM = 0x2201; // the database was opened
const CCSIDDBC = 0x0035;
const SQLSTT = 0x2414; // the text of a statement
const DSCSQLSTT = 0x2008; // asks for what columns there are
const QRYINSID = 0x215b;
const SQLCARD = 0x2408; // code and state of a statement
const SQLDARD = 0x2411; // the same, and columns

/** The character sets that Derby leaves out, and without which the driver ends: UTF-8, UTF-16, UTF-8. */
const CCSIDS = Buffer.from('0006119c04b80006119d04b00006119e04b8', 'hex');

/** What Derby says, and what Db2 says then: SQLSTATE and SQLCODE. A routine's own states are of class 38 (procedures.java). */
const ANSWERS: Readonly<Record<string, readonly [state: string, code: number]>> = {
  '38911': ['40001', -911],
  '38302': ['22001', -302],
  '38204': ['42704', -204],
  '38104': ['42601', -104],
  '38206': ['42703', -206],
  '40001': ['40001', -911],
  '40XL1': ['40001', -911],
  X0Y32: ['42710', -601],
  '42X04': ['42703', -206],
  '42X05': ['42704', -204],
  '42Y03': ['42884', -440],
  '42Y07': ['42704', -204],
  '22001': ['22001', -302],
};

const toServer: Edit = (codePoint, value) => {
  if (codePoint === QRYINSID) return undefined;
  return codePoint === SQLSTT ? ofText(value, forDerby) : value;
};

const toDriver: Edit = (codePoint, value) => {
  if (codePoint === CCSIDDBC) return CCSIDS;
  return value;
};

/** Procedures and blocks are run by procedures.java; the catalog is a view of Derby's. */
const forDerby = (text: string): string =>
  /^(\s|--.*\n)*(BEGIN|CREATE OR REPLACE PROCEDURE)\b/.test(text)
    ? `CALL db2.run('${text.replaceAll("'", "''")}')`
    : text.replaceAll(/\bsyscat\./gi, 'db2.');

/** The text stands behind a mark that it is there (0) and its length, and may be followed by one more that is not (FF). */
function ofText(value: Buffer, change: (text: string) => string): Buffer {
  const start = value[0] === 0xff ? 1 : 0;
  const length = value.readUInt32BE(start + 1);
  const text = Buffer.from(change(value.toString('utf8', start + 5, start + 5 + length)));
  const head = Buffer.alloc(start + 5, value.subarray(0, start + 5));
  head.writeUInt32BE(text.length, start + 1);
  return Buffer.concat([head, text, value.subarray(start + 5 + length)]);
}

/** One block, with its one object (or the objects within it) edited. */
function edited(block: Buffer, edit: Edit): Buffer {
  const codePoint = block.readUInt16BE(8);
  if (block.readUInt16BE(6) !== block.length - 6) return block;
  const value = block.subarray(10);
  let body = value;
  if (codePoint === SQLSTT) body = edit(codePoint, value) ?? value;
  else if (codePoint === SQLCARD || codePoint === SQLDARD) answer(value);
  else if (codePoint === ACCRDBRM || codePoint === DSCSQLSTT) body = objects(value, edit);
  if (body === value) return block;
  const head = Buffer.from(block.subarray(0, 10));
  head.writeUInt16BE(body.length + 10, 0);
  head.writeUInt16BE(body.length + 4, 6);
  return Buffer.concat([head, body]);
}

function objects(value: Buffer, edit: Edit): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at + 4 <= value.length; ) {
    const length = value.readUInt16BE(at);
    const codePoint = value.readUInt16BE(at + 2);
    const changed = edit(codePoint, value.subarray(at + 4, at + length));
    if (changed) {
      const head = Buffer.alloc(4);
      head.writeUInt16BE(changed.length + 4, 0);
      head.writeUInt16BE(codePoint, 2);
      kept.push(head, changed);
    }
    at += length;
  }
  return Buffer.concat(kept);
}

/** In its place: a mark that there is one (0), the code, the state. */
function answer(value: Buffer): void {
  const translated = value[0] === 0 ? ANSWERS[value.toString('latin1', 5, 10)] : undefined;
  if (!translated) return;
  value.writeInt32BE(translated[1], 1);
  value.write(translated[0], 5, 'latin1');
}

const LONG = 0x8000; // this bit of a length: the block goes on behind it

/** Passes on what comes, block by block; a long one in its segments, as it is. */
function pump(from: Socket, to: Socket, edit: Edit): void {
  let pending: Buffer = Buffer.alloc(0);
  let goesOn = false;
  from.on('data', (data) => {
    pending = Buffer.concat([pending, data]);
    const out: Buffer[] = [];
    while (pending.length >= 2) {
      const stated = pending.readUInt16BE(0);
      const length = stated & ~LONG;
      if (pending.length < length) break;
      const part = pending.subarray(0, length);
      pending = pending.subarray(length);
      out.push(goesOn || stated & LONG ? part : edited(part, edit));
      goesOn = (stated & LONG) !== 0;
    }
    if (out.length > 0) to.write(Buffer.concat(out));
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
}

/** Listens on the loopback address, and takes IBM's driver to the Derby on that port. */
export async function startRelay(derbyPort: number): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((driver) => {
    const derby = connect(derbyPort, '127.0.0.1');
    for (const socket of [driver, derby]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    pump(driver, derby, toServer);
    pump(derby, driver, toDriver);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
