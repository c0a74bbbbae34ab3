import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const { host, port, turns } = workerData as { host: string; port: number; turns: Int32Array };

const sockets = new Set<Socket>();
const server = createServer((driver) => {
  const upstream = connect(port, host);
  let asking = false;
  for (const [socket, peer] of [
    [driver, upstream],
    [upstream, driver],
  ] as const) {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('data', (data) => {
      if (socket === driver && !asking) Atomics.add(turns, 0, 1);
      asking = socket === driver;
      peer.write(data);
    });
    socket.on('close', () => {
      sockets.delete(socket);
      peer.destroy();
    });
    socket.on('error', () => {});
  }
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
parentPort?.on('message', () => {
  for (const socket of sockets) socket.destroy();
  parentPort?.postMessage('cut');
});
parentPort?.postMessage((server.address() as AddressInfo).port);
