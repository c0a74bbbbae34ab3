import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Where a connection can be cut, seen from the server. */
export const places = [
  'before its request arrives',
  'within its request',
  'behind its request',
  'before its answer arrives',
  'within its answer',
] as const;
export type Place = (typeof places)[number];

/** A way to a server of this machine that cuts, once and there, the connection over which the next request comes. */
export interface Relay {
  readonly port: number;
  cutNext(place: Place): void;
  close(): void;
}

export async function createRelay(port: number): Promise<Relay> {
  let due: Place | undefined;
  const ends = new Set<Socket>();
  const half = (bytes: Buffer) => bytes.subarray(0, bytes.length / 2);
  const way = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    let cut: Place | undefined;
    const both = () => {
      near.destroy();
      far.destroy();
    };
    near.on('data', (request) => {
      cut = due;
      due = undefined;
      if (cut === 'before its request arrives') both();
      else if (cut === 'within its request' || cut === 'behind its request') {
        far.end(cut === 'within its request' ? half(request) : request);
        near.destroy();
      } else far.write(request);
    });
    far.on('data', (answer) => {
      if (cut === undefined) near.write(answer);
      else if (cut === 'within its answer') {
        near.end(half(answer));
        far.destroy();
      } else both();
    });
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end);
      end
        .on('error', () => {})
        .on('close', () => {
          ends.delete(end);
          if (!other.writableEnded) other.destroy();
        });
    }
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  return {
    port: (way.address() as AddressInfo).port,
    cutNext: (place) => {
      due = place;
    },
    close: () => {
      for (const end of ends) end.destroy();
      way.close();
    },
  };
}
