import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createGateway, type Handler, type Route } from '../../bin/local/gateway.ts';
import type { AuthorizerContext } from '../../functions/authorizer-events.ts';

type Event = Parameters<Handler>[0];

let server: Server | undefined;
let logged: unknown[][] = [];

afterEach(() => {
  server?.close();
  server?.closeAllConnections();
  logged = [];
});

/** Serves one route; gives its URL and the events that reach it. */
async function serve(route: Partial<Route> = {}) {
  const events: Event[] = [];
  const handler: Handler = async (event) => {
    events.push(event);
    return { statusCode: 200, body: 'done' };
  };
  const gateway = createGateway([{ path: '/path', handler, ...route }], (...line) => logged.push(line));
  const listener: RequestListener = (request, response) => {
    if (!gateway(request, response)) response.writeHead(404).end('not mine');
  };
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, events };
}

describe('the gateway', () => {
  it('makes the event of payload format 2.0 of a request', async () => {
    const { url, events } = await serve();
    const started = Date.now();
    await fetch(`${url}/path?a=1&b=%20x&a=2&c`, {
      headers: [
        ['X-Twice', 'one'],
        ['X-Twice', 'two'],
        ['Cookie', 'a=1; b=2'],
        ['User-Agent', 'tester'],
      ],
    });
    const [event] = events;
    expect(event).toMatchObject({
      version: '2.0',
      routeKey: 'GET /path',
      rawPath: '/path',
      rawQueryString: 'a=1&b=%20x&a=2&c',
      cookies: ['a=1', 'b=2'],
      queryStringParameters: { a: '1,2', b: ' x', c: '' },
      isBase64Encoded: false,
      requestContext: {
        http: { method: 'GET', path: '/path', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'tester' },
        routeKey: 'GET /path',
        stage: '$default',
        time: expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/),
      },
    });
    expect(event?.headers).toMatchObject({ 'x-twice': expect.stringMatching(/^one, ?two$/), 'user-agent': 'tester' });
    expect(event?.headers).not.toHaveProperty('cookie');
    expect(event).not.toHaveProperty('body');
    expect(event?.requestContext.timeEpoch).toBeGreaterThanOrEqual(started);
  });

  it('hands on JSON and text as they are, and every other body in base64', async () => {
    const { url, events } = await serve();
    for (const type of [
      'application/json',
      'text/plain;charset=UTF-8',
      'application/x-www-form-urlencoded',
      'image/png',
    ]) {
      await fetch(`${url}/path`, { method: 'POST', headers: { 'content-type': type }, body: 'ä=1' });
    }
    const encoded = Buffer.from('ä=1').toString('base64');
    expect(events.map(({ body, isBase64Encoded }) => [body, isBase64Encoded])).toEqual([
      ['ä=1', false],
      ['ä=1', false],
      [encoded, true],
      [encoded, true],
    ]);
  });

  it('reads the parameters of a path', async () => {
    const { url, events } = await serve({ path: '/grants/{grant_id}/tokens/{digest}' });
    await fetch(`${url}/grants/a%2Fb/tokens/x-_`);
    expect(events[0]?.pathParameters).toEqual({ grant_id: 'a/b', digest: 'x-_' });
    expect(events[0]?.routeKey).toBe('GET /grants/{grant_id}/tokens/{digest}');
    expect((await fetch(`${url}/grants/a%zz/tokens/x`)).status).toBe(400);
    expect((await fetch(`${url}/grants//tokens/x`)).status).toBe(404);
    expect(events).toHaveLength(1);
  });

  it('answers with what the function gives: status, headers, cookies, text or bytes', async () => {
    const { url } = await serve({
      handler: async () => ({
        statusCode: 201,
        headers: { 'x-number': 1, 'content-type': 'image/png' },
        cookies: ['a=1; Path=/', 'b=2'],
        body: Buffer.of(0, 255).toString('base64'),
        isBase64Encoded: true,
      }),
    });
    const answer = await fetch(`${url}/path`);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-number')).toBe('1');
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(answer.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2']);
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(Uint8Array.of(0, 255));
  });

  it('refuses malformed escapes and bodies over 64 kB before the function sees them', async () => {
    const { url, events } = await serve();
    expect((await fetch(`${url}/path?a=%zz`)).status).toBe(400);
    expect((await fetch(`${url}/path`, { method: 'POST', body: 'x'.repeat(65_537) })).status).toBe(413);
    expect((await fetch(`${url}/path`, { method: 'POST', body: 'x'.repeat(5_000_000) })).status).toBe(413);
    expect(events).toEqual([]);
    expect((await fetch(`${url}/path`, { method: 'POST', body: 'x'.repeat(65_536) })).status).toBe(200);
  });

  it('leaves other paths to whoever else listens', async () => {
    const { url } = await serve();
    expect(await (await fetch(`${url}/path/further`)).text()).toBe('not mine');
  });

  it('answers 500 when a function fails, and says nothing of why', async () => {
    const { url } = await serve({ handler: () => Promise.reject(new Error('the reason')) });
    const answer = await fetch(`${url}/path`);
    expect(answer.status).toBe(500);
    expect(await answer.json()).toEqual({ message: 'Internal Server Error' });
    expect(logged).toEqual([['error', 'function failed', { path: '/path', error: 'Error', detail: 'the reason' }]]);
  });

  it('answers 500 when a function answers with what is no header', async () => {
    const { url } = await serve({ handler: async () => ({ headers: { 'x-bad': 'a\r\nset-cookie: a=1' }, body: '' }) });
    expect((await fetch(`${url}/path`)).status).toBe(500);
  });

  describe('with an authorizer', () => {
    it('hands its context on to the function', async () => {
      const { url, events } = await serve({
        authorizer: async () => ({ isAuthorized: true, context: { client_id: 'example-app' } }),
      });
      expect((await fetch(`${url}/path`)).status).toBe(200);
      expect(events[0]?.requestContext.authorizer.lambda).toEqual({ client_id: 'example-app' });
    });

    it('asks it with an event of payload format 2.0', async () => {
      const asked: unknown[] = [];
      const { url } = await serve({
        authorizer: async (event) => {
          asked.push(event);
          return { isAuthorized: true, context: {} };
        },
      });
      const headers = { authorization: 'Bearer x', cookie: 'a=1' };
      await fetch(`${url}/path?a=1`, { method: 'POST', headers, body: 'body' });
      expect(asked).toMatchObject([
        {
          version: '2.0',
          type: 'REQUEST',
          routeArn: expect.stringMatching(/^arn:aws:execute-api:.*\/\$default\/POST\/path$/),
          identitySource: ['Bearer x'],
          routeKey: 'POST /path',
          rawQueryString: 'a=1',
          cookies: ['a=1'],
          headers: { authorization: 'Bearer x' },
        },
      ]);
      expect(asked[0]).not.toHaveProperty('body');
    });

    it('refuses as it says, with its challenge', async () => {
      const context: AuthorizerContext = {
        status: '403',
        error: 'insufficient_scope',
        error_description: 'not enough',
        www_authenticate: 'Bearer scope="a"',
      };
      const { url, events } = await serve({ authorizer: async () => ({ isAuthorized: false, context }) });
      const answer = await fetch(`${url}/path`);
      expect(answer.status).toBe(403);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer scope="a"');
      expect(await answer.json()).toEqual({ error: 'insufficient_scope', error_description: 'not enough' });
      expect(events).toEqual([]);
    });

    it('answers 500, not 401, when it fails', async () => {
      const { url, events } = await serve({ authorizer: () => Promise.reject(new Error('outage')) });
      expect((await fetch(`${url}/path`)).status).toBe(500);
      expect(events).toEqual([]);
    });
  });
});
