/** Sends requests to a server, as many at a time as it is told, and hands back the bodies of the answers. */
import { Agent, request } from 'node:http';

export interface Request {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a POST; without one it is a GET. */
  readonly body?: string;
}

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly requests: readonly Request[];
}

let load: Load = { url: '', connections: 0, requests: [] };
let agent = new Agent();

const send = ({ path, headers = {}, body }: Request): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { agent, method: body === undefined ? 'GET' : 'POST', headers };
    const sent = request(load.url + path, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode === 200 || response.statusCode === 201) resolve(text);
        else reject(new Error(`${path}: ${response.statusCode} ${text}`));
      });
    });
    sent.on('error', reject).end(body);
  });

async function sendAll(): Promise<string[]> {
  const { connections, requests } = load;
  const bodies: string[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < requests.length; index = next++)
      bodies[index] = await send(requests[index] as Request);
  };
  await Promise.all(Array.from({ length: connections }, work));
  return bodies;
}

// The load first, so that what carries it here is over when it is told to go.
process.on('message', async (message: Load | 'go') => {
  if (message === 'go') {
    process.send?.(await sendAll());
    return;
  }
  if (message.url !== load.url) {
    agent.destroy();
    agent = new Agent({ keepAlive: true, maxSockets: message.connections });
  }
  load = message;
  process.send?.('ready');
});
process.on('disconnect', () => process.exit());
