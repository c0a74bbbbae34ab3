import type { IncomingMessage } from 'node:http';

/** The most that a request's body may have: far more than a token request or a record needs. */
const LIMIT = 64 * 1024;

/** The body, or that it is too large; what is left of that is read and dropped, so that the answer reaches the client. */
export function readBody(request: IncomingMessage): Promise<Buffer | 'too large'> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= LIMIT) chunks.push(chunk);
      else resolve('too large');
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
  });
}
