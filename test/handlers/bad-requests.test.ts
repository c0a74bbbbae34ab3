import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HttpFunction, routes } from '../../functions/config/routes.ts';
import { ask, basic, type Deployment, deployment, formEvent, httpEvent, jsonEvent } from './deployment.ts';
import { creators, goodRequests } from './requests.ts';

const names = Object.keys(creators) as HttpFunction[];
const isForm = (event: APIGatewayProxyEventV2) => event.headers['content-type']?.includes('form');
const withBody = (events: Record<HttpFunction, APIGatewayProxyEventV2>) =>
  names.filter((name) => events[name].body !== undefined);

/** The answer to a request that is at fault: never 5xx, nothing written. */
async function refusal(made: Deployment, name: HttpFunction, event: APIGatewayProxyEventV2) {
  made.writes.length = 0;
  const answer = await ask(creators[name](made.runtime), event);
  expect(made.writes).toEqual([]);
  return answer;
}

async function prepared() {
  const made = await deployment();
  return { made, ...(await goodRequests(made)) };
}

describe('a bad request', () => {
  it('of every function is granted before it is made bad', async () => {
    for (const name of names) {
      const { made, events } = await prepared();
      expect((await ask(creators[name](made.runtime), events[name])).status, name).toBeLessThan(300);
    }
  });

  it('with another method is answered with 405 and the accepted ones', async () => {
    const { made, events } = await prepared();
    for (const name of names) {
      const { requestContext } = events[name];
      const http = { ...requestContext.http, method: 'PATCH' };
      const event = { ...events[name], requestContext: { ...requestContext, http } };
      const { status, headers } = await refusal(made, name, event);
      const methods = routes.filter(({ handler }) => handler === name).map(({ method }) => method);
      expect([status, headers.allow], name).toEqual([405, methods.join(', ')]);
    }
  });

  it('with another content type is refused: 400 for a form (RFC 6749 §5.2), 415 for JSON', async () => {
    const { made, events } = await prepared();
    for (const name of withBody(events)) {
      for (const type of [
        {},
        { 'content-type': 'text/plain' },
        { 'content-type': 'multipart/form-data; boundary=x' },
      ]) {
        const { 'content-type': _, ...headers } = events[name].headers;
        const answer = await refusal(made, name, { ...events[name], headers: { ...headers, ...type } });
        expect(answer, name).toMatchObject({
          status: isForm(events[name]) ? 400 : 415,
          body: { error: 'invalid_request' },
        });
      }
    }
  });

  it('is not a content type with parameters, in another case, or a body in base64', async () => {
    for (const name of ['introspect', 'lookup-token'] as const) {
      const { made, events } = await prepared();
      const event = events[name];
      const type = `${event.headers['content-type']?.toUpperCase()}; charset=UTF-8`;
      const body = Buffer.from(event.body ?? '').toString('base64');
      const changed = { ...event, headers: { ...event.headers, 'content-type': type }, body, isBase64Encoded: true };
      expect(await ask(creators[name](made.runtime), changed)).toMatchObject({ status: 200, body: { active: true } });
    }
  });

  it('of more than 64 kB is answered with 413', async () => {
    const { made, events } = await prepared();
    for (const name of withBody(events)) {
      const filler = isForm(events[name]) ? `&x=${'x'.repeat(65_536)}` : ' '.repeat(65_536);
      const body = `${events[name].body}${filler}`;
      const plain = { ...events[name], body };
      const encoded = { ...plain, body: Buffer.from(body).toString('base64'), isBase64Encoded: true };
      for (const event of [plain, encoded]) expect((await refusal(made, name, event)).status, name).toBe(413);
    }
  });

  it('without one of its members, with one of another kind, unknown or given twice is answered with 400', async () => {
    const { made, events } = await prepared();
    const refused = async (name: HttpFunction, body: string) => {
      const { status, body: answer } = await refusal(made, name, { ...events[name], body });
      expect([status, answer.error], `${name} ${body}`).toEqual([400, 'invalid_request']);
    };
    for (const name of withBody(events).filter((each) => !isForm(events[each]))) {
      const members: Record<string, unknown> = JSON.parse(events[name].body ?? '');
      for (const [member, value] of Object.entries(members)) {
        for (const wrong of [null, 5, [], {}, '', 'ö\u0000']) {
          // What a token or code may not be, is not known rather than at fault.
          if (typeof wrong === 'string' && wrong && !/client_id|subject|scope|grant_type/.test(member)) continue;
          await refused(name, JSON.stringify({ ...members, [member]: wrong }));
        }
        const { [member]: _, ...others } = members;
        if (/^(client_id|code|token|grant_type)$/.test(member)) await refused(name, JSON.stringify(others));
        await refused(
          name,
          JSON.stringify(members).replace('{', `{${JSON.stringify(member)}:${JSON.stringify(value)},`),
        );
        const escaped = `\\u${member.charCodeAt(0).toString(16).padStart(4, '0')}${member.slice(1)}`;
        await refused(name, JSON.stringify(members).replace('{', `{"${escaped}":${JSON.stringify(value)},`));
      }
      await refused(name, JSON.stringify({ ...members, surprise: 1 }));
      await refused(name, JSON.stringify([members]));
      for (const text of ['', '{', 'null', '5', '"text"', `${JSON.stringify(members)}}`, '{"a":1,}', '\u0000']) {
        await refused(name, text);
      }
    }
    for (const name of withBody(events).filter((each) => isForm(events[each]))) {
      await refused(name, '');
      await refused(name, 'token=&access_token=');
      await refused(name, `${events[name].body}&${events[name].body}`);
      await refused(name, `${events[name].body}&x=1&x=2`);
    }
  });

  it('with text that is not UTF-8 is answered with 400', async () => {
    const { made, events } = await prepared();
    for (const name of withBody(events)) {
      const body = Buffer.concat([Buffer.from(events[name].body ?? ''), Buffer.of(0xff)]).toString('base64');
      const { status } = await refusal(made, name, { ...events[name], body, isBase64Encoded: true });
      expect(status, name).toBe(400);
    }
  });

  it('with objects in objects without end is answered with 400', async () => {
    const { made } = await prepared();
    const body = (levels: number) =>
      `{"client_id":"web","grant_type":"password","attributes":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`;
    for (const levels of [17, 10_000]) {
      const event = { ...jsonEvent({}), body: body(levels) };
      expect((await refusal(made, 'issue-tokens', event)).status).toBe(400);
    }
    const attributes = { ...jsonEvent({}), body: body(10) };
    expect((await ask(creators['issue-tokens'](made.runtime), attributes)).status).toBe(201);
  });

  it('with a token that is long, not ASCII, cut or encoded anew finds nothing and changes nothing', async () => {
    const { made, values } = await prepared();
    const [, token = ''] = values;
    const bent = [
      'x'.repeat(60_000),
      'tökén',
      '\u0000',
      token.slice(0, -1),
      `${token}A`,
      `${token}=`,
      token.toLowerCase(),
    ];
    for (const wrong of bent) {
      const introspected = await refusal(made, 'introspect', formEvent({ token: wrong }, basic('api')));
      expect(introspected).toMatchObject({ status: 200, body: { active: false } });
      expect((await refusal(made, 'revoke', formEvent({ token: wrong }, basic('web')))).status).toBe(200);
      expect((await refusal(made, 'token-information', formEvent({ access_token: wrong }))).status).toBe(400);
    }
  });
});

describe('any request at all', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('web', 'api', 'alice', 'A'.repeat(54)),
  );
  const members = fc.dictionary(
    fc.constantFrom(
      ...['client_id', 'subject', 'code', 'token', 'access_token', 'grant_id', 'attributes', 'cnf', 'client_secret'],
      ...['client_assertion', 'attempt', 'resource', '__proto__', 'constructor'],
    ),
    fc.oneof(text, fc.json(), fc.jsonValue({ maxDepth: 3 })),
  );
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'HEAD', ''),
    headers: fc.record(
      {
        'content-type': fc.oneof(fc.constantFrom('application/json', 'application/x-www-form-urlencoded'), text),
        authorization: fc.oneof(
          text,
          text.map((value) => `Basic ${Buffer.from(value).toString('base64')}`),
        ),
      },
      { requiredKeys: [] },
    ),
    query: fc.oneof(
      fc.constant(''),
      text,
      text.map((value) => new URLSearchParams({ subject: value }).toString()),
    ),
    pathParameters: fc.record({ grant_id: text, digest: text }),
    body: fc.oneof(
      text,
      fc.json(),
      members.map((body) => JSON.stringify(body)),
      members.map((body) => new URLSearchParams(body as Record<string, string>).toString()),
    ),
    isBase64Encoded: fc.boolean(),
  });

  it('is answered, never with 5xx; nothing is written, and nothing of it is logged', async () => {
    const { made, values } = await prepared();
    const responders = names.map((name) => [name, creators[name](made.runtime)] as const);
    made.writes.length = 0;
    await fc.assert(
      fc.asyncProperty(request, async (parts) => {
        for (const [name, respond] of responders) {
          const { status } = await ask(respond, httpEvent(parts));
          expect(status, name).toBeLessThan(500);
        }
        // Two members are all that a code needs, and one that a revocation needs.
        expect(made.writes.filter((name) => !['add', 'revokeBy', 'revokeAccess'].includes(name))).toEqual([]);
      }),
      { numRuns: 300 },
    );
    for (const value of values) expect(made.lines.join()).not.toContain(value);
  }, 60_000);
});
