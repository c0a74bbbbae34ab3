import { createServer, type RequestListener, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** API Gateway takes no more than this of a request's line and headers. */
const MAX_HEADER_SIZE = 10_240;

/** How long requests in flight may take when the server stops. */
const FAREWELL_MS = 5000;

/** @throws {Error} in one sentence: the address cannot be listened on */
export function listen(handle: RequestListener, host: string, port: number): Promise<Server> {
  const server = createServer({ maxHeaderSize: MAX_HEADER_SIZE }, (request, response) => {
    // A whole URL is for a proxy.
    if (request.url?.startsWith('/')) handle(request, response);
    else response.writeHead(400).end();
  });
  return new Promise((resolve, reject) => {
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      const reason = code === 'EADDRINUSE' ? 'it is in use; give another one in PORT' : message;
      reject(new Error(`cannot listen on port ${port} of ${host}: ${reason}`));
    });
    server.listen(port, host, () => resolve(server));
  });
}

/** Takes no further connection, lets the requests in flight finish, and ends those that do not. */
export async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection is kept alive for its client's next request, which is not going to be answered.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  await Promise.race([closed, sleep(FAREWELL_MS)]);
  clearInterval(sweep);
  server.closeAllConnections();
  await closed;
}
