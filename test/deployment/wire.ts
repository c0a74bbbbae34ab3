import { connect, createServer, type Socket } from 'node:net';
import { findFreePort } from '../engines/launch.ts';

/** A wire to a server on this machine. `cut` cuts it, with all that goes over it, and gives what mends it. */
export async function startWire(target: number) {
  const sockets = new Set<Socket>();
  const port = await findFreePort();
  const wire = createServer((socket) => {
    const behind = connect(target, '127.0.0.1');
    for (const end of [socket, behind]) {
      sockets.add(end);
      end.on('error', () => {}).on('close', () => sockets.delete(end));
    }
    socket.pipe(behind).pipe(socket);
  });
  const mend = () => new Promise<void>((resolve) => wire.listen(port, '127.0.0.1', resolve));
  const cut = async () => {
    wire.close();
    for (const socket of sockets) socket.destroy();
    return mend;
  };
  await mend();
  return { port, cut };
}
