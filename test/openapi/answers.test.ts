import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { expect, it } from 'vitest';
import { type HttpFunction, type Route, routes } from '../../functions/config/routes.ts';
import type { StoreErrorCode } from '../../functions/domain/errors.ts';
import {
  ask,
  basic,
  broken,
  type Deployment,
  deployment,
  formEvent,
  httpEvent,
  jsonEvent,
} from '../handlers/deployment.ts';
import { creators, goodRequests } from '../handlers/requests.ts';
import { type Answer, faultsOf, operationOf, resolved, type Schema } from './document.ts';

// Every handler through a whole life on two engines: what it answers is in the document, and what is in the document is
// answered. Only what API Gateway says by itself is not seen here.

const memory = {};
const database = { storeIn: 'database', database: 'all' };
const postgresql = {
  accessTokenStores: { tokens: { ...database, foreignTokens: true } },
  authorizationCodeStores: { codes: database },
  clientAccessTokenStores: { received: database },
  artifactStores: { artifacts: database },
  caches: {},
  databases: { all: { engine: 'postgresql', embedded: true } },
};
const settings = {
  issuing: { refreshToken: { idleExpiresIn: 7200, absoluteExpiresIn: 40_000 } },
  tokenInformation: { attributes: ['tier'] },
};

type Members = Record<string, unknown>;

/** The words that tell answers of one status apart. */
const signature = (status: number | string, { error = '', outcome = '', active = '' }: Members) =>
  [status, error, outcome, active].join(' ').trim();

const choices = (schema: Schema | undefined): readonly unknown[] =>
  schema === undefined ? [''] : (schema.enum ?? [schema.const]);

/** Every signature that a response has in the document. */
const signaturesOf = (status: string, schema: Schema): string[] => {
  if (schema.anyOf) return schema.anyOf.flatMap((each) => signaturesOf(status, each));
  const { error, outcome, active, message } = schema.properties ?? {};
  if (message) return []; // API Gateway's own
  return choices(error).flatMap((e) =>
    choices(outcome).flatMap((o) => choices(active).map((a) => signature(status, { error: e, outcome: o, active: a }))),
  );
};

const schemaOf = (answer: Answer) => answer.content['application/json']?.schema ?? {};

const routeOf = (name: HttpFunction, method: string) =>
  routes.find((route) => route.handler === name && route.method === method) as Route;

/** Sends events to functions and holds each answer against the document. */
function witness() {
  const seen = new Map<string, Set<string>>();
  const members = new Map<string, Set<string>>();
  const send = async (name: HttpFunction, event: APIGatewayProxyEventV2, runtime: Deployment['runtime']) => {
    const { method } = event.requestContext.http;
    const operation = operationOf(routeOf(name, method));
    const { status, headers, body } = await ask(creators[name](runtime), event);
    const documented = operation.responses[status];
    expect(documented, `${operation.operationId} answers ${status}, which is not documented`).toBeDefined();
    const answer = resolved(documented as Answer);
    expect(faultsOf(schemaOf(answer), body), `${operation.operationId} ${JSON.stringify(body)}`).toBeUndefined();
    const given = Object.keys(headers).filter((header) => header !== 'content-type');
    const named = Object.keys(answer.headers).map((header) => header.toLowerCase());
    expect(given.toSorted(), `${operation.operationId} ${status}`).toEqual(named.toSorted());
    const { operationId } = operation;
    seen.set(operationId, (seen.get(operationId) ?? new Set()).add(signature(status, body)));
    if (status < 300) {
      const known = members.get(operationId) ?? new Set();
      for (const [member, value] of Object.entries(body)) {
        known.add(member);
        for (const inner of [value].flat()) {
          if (typeof inner === 'object' && inner !== null)
            for (const each of Object.keys(inner)) known.add(`${member}.${each}`);
        }
      }
      members.set(operationId, known);
    }
    return body;
  };
  return { seen, members, send };
}

/** Members of the answers of an operation, and those of objects and lists in them. */
function membersOf(schema: Schema, prefix = ''): string[] {
  const { anyOf = [], properties = {} } = resolved(schema);
  const within = (name: string, member: Schema) =>
    prefix ? [] : [...membersOf(resolved(member), `${name}.`), ...membersOf(resolved(member.items ?? {}), `${name}.`)];
  return [
    ...anyOf.flatMap((each) => membersOf(each, prefix)),
    ...Object.entries(properties).flatMap(([name, member]) => [`${prefix}${name}`, ...within(name, member)]),
  ];
}

async function live(made: Deployment, { send }: ReturnType<typeof witness>) {
  const { runtime, pass } = made;
  const post = (name: HttpFunction, body: object) => send(name, jsonEvent(body), runtime);
  const form = (name: HttpFunction, body: Record<string, string>, headers = basic('api')) =>
    send(name, formEvent(body, headers), runtime);
  const everything = {
    subject: 'alice',
    application_id: 'shop',
    consent_id: 'consent',
    scope: 'a b',
    resource: ['https://api.example/a'],
    authorization_details: [{ type: 'payment' }],
    cnf: { jkt: 'J'.repeat(43), 'x5t#S256': 'X'.repeat(43) },
    auth_time: 1,
    acr: 'acr',
    amr: ['pwd'],
    nonce: 'nonce',
    sid: 'sid',
    parameters: { prompt: 'login' },
    attributes: { tier: 'gold' },
  };
  const newCode = async (subject = 'alice') =>
    (
      await post('issue-code', {
        client_id: 'web',
        ...everything,
        subject,
        redirect_uri: 'https://a.example',
        state: 's',
      })
    ).code;
  const redemption = (code: string) => ({
    client_id: 'web',
    code,
    redirect_uri: 'https://a.example',
    refresh_token: true,
  });
  const newTokens = (subject = 'alice') =>
    post('issue-tokens', {
      client_id: 'web',
      grant_type: 'password',
      ...everything,
      subject,
      refresh_token: true,
      id_token: 'an ID token',
    });

  // Codes: looked at, redeemed, replayed, mismatched, removed, revoked, expired.
  const code = await newCode();
  await post('lookup-code', { code });
  await post('exchange-code', { ...redemption(code), client_id: 'poster' });
  await post('exchange-code', redemption(code));
  await post('lookup-code', { code });
  await post('exchange-code', redemption(code));
  await post('exchange-code', redemption('nobody issued this'));
  await post('lookup-code', { code: 'nobody issued this' });
  const removed = await newCode();
  await post('remove-code', { code: removed });
  await post('remove-code', { code: removed });
  const barred = await newCode('bob');
  await post('revoke-grants', { subject: 'bob' });
  await post('exchange-code', redemption(barred));
  const late = await newCode();
  pass(601);
  await post('lookup-code', { code: late });
  await post('exchange-code', redemption(late));

  // Tokens: looked at, refreshed, asked too much of.
  const issued = await newTokens();
  const refresh = (refresh_token: string, further = {}) =>
    post('refresh-tokens', { client_id: 'web', refresh_token, ...further });
  for (const token of [issued.access_token, issued.refresh_token, 'nobody issued this'])
    await post('lookup-token', { token });
  await form('introspect', { token: issued.access_token });
  await form('introspect', { token: 'nobody issued this' });
  await form('token-information', { access_token: issued.access_token });
  await form('token-information', { access_token: 'nobody issued this' });
  for (const query of [`access_token=${issued.access_token}`, 'access_token=nobody', ''])
    await send('token-information', httpEvent({ method: 'GET', query }), runtime);
  await refresh(issued.refresh_token, { client_id: 'poster' });
  await refresh(issued.refresh_token, { scope: 'a b c' });
  await refresh(issued.refresh_token, { resource: ['https://api.example/b'] });
  await refresh(issued.refresh_token, { authorization_details: [{ type: 'transfer' }] });
  await refresh('nobody issued this');
  const rotated = await refresh(issued.refresh_token);
  await refresh(issued.refresh_token);
  await post('lookup-token', { token: issued.refresh_token });

  // Administration.
  const get = (name: HttpFunction, pathParameters: Record<string, string>, query = '', method = 'GET') =>
    send(name, httpEvent({ method, pathParameters, query }), runtime);
  const { grant_id } = rotated;
  await get('list-access-tokens', { grant_id }, 'limit=1');
  await post('revoke-token', { token: issued.access_token });
  const { access_tokens } = await get('list-access-tokens', { grant_id });
  for (const { digest } of access_tokens) await get('revoke-access-token', { grant_id, digest }, '', 'DELETE');
  await get('revoke-access-token', { grant_id, digest: 'A'.repeat(22) }, '', 'DELETE');
  await post('revoke-token', { token: 'nobody issued this' });
  await post('revoke-grants', { grant_id, access_tokens_only: true });
  await get('list-grants', {}, 'subject=alice&limit=1');
  pass(60);
  await refresh(issued.refresh_token); // beyond the grace window
  await refresh(rotated.refresh_token);
  await post('lookup-token', { token: rotated.access_token });
  await get('list-grants', {}, 'subject=alice');

  // Clients, and the end of everything.
  await form('revoke', { token: 'nobody issued this' }, basic('web'));
  await form('revoke', { token: 'nobody issued this' }, basic('web', 'wrong'));
  await form('introspect', { token: 'nobody issued this' }, basic('web', 'wrong'));
  const old = await newTokens('carol');
  pass(50_000);
  await refresh(old.refresh_token);
  await post('lookup-token', { token: old.access_token });
}

/** What every function is told alike: requests at fault, and stores that fail. */
async function fail(made: Deployment, { send }: ReturnType<typeof witness>) {
  const { events } = await goodRequests(made);
  for (const name of Object.keys(creators) as HttpFunction[]) {
    const mayConflict = ['issue-code', 'exchange-code', 'issue-tokens', 'refresh-tokens'].includes(name);
    const good = name === 'token-information' ? [events[name], informationByQuery(events[name])] : [events[name]];
    for (const event of good) {
      const codes: StoreErrorCode[] = ['unavailable', 'timeout', 'throttled', 'invalid', 'unsupported'];
      for (const code of [...codes, ...(mayConflict ? (['conflict'] as const) : [])]) {
        await send(name, event, broken(made, code));
      }
      if (event.body === undefined) {
        if (name !== 'token-information')
          await send(name, { ...event, pathParameters: { grant_id: '' }, rawQueryString: '' }, made.runtime);
        continue;
      }
      await send(name, { ...event, body: '' }, made.runtime);
      await send(name, { ...event, body: 'x'.repeat(65_537) }, made.runtime);
      const { 'content-type': _, ...headers } = event.headers;
      await send(name, { ...event, headers }, made.runtime);
      if (mayConflict) await send(name, retired(event), made.runtime);
    }
  }
}

const informationByQuery = ({ body = '' }: APIGatewayProxyEventV2) => httpEvent({ method: 'GET', query: body });

const retired = (event: APIGatewayProxyEventV2) => ({
  ...event,
  body: JSON.stringify({ ...JSON.parse(event.body ?? ''), client_id: 'retired' }),
});

it.each([
  ['in memory', memory],
  ['on PostgreSQL', postgresql],
])('every answer is documented, and every documented one is given: %s', async (_, engine) => {
  const directory = mkdtempSync(join(tmpdir(), 'openapi-'));
  try {
    const made = await deployment({ ...engine, ...settings }, directory);
    const watched = witness();
    await fail(made, watched);
    await live(made, watched);
    for (const route of routes) {
      const { operationId, responses } = operationOf(route);
      const documented = Object.entries(responses).flatMap(([status, answer]) =>
        signaturesOf(status, schemaOf(resolved(answer as Answer))),
      );
      const name = `${operationId}, documented and given`;
      expect([...(watched.seen.get(operationId) ?? [])].toSorted(), name).toEqual([...new Set(documented)].toSorted());
      const success = Object.entries(responses).filter(([status]) => Number(status) < 300);
      const named = success.flatMap(([, answer]) => membersOf(schemaOf(resolved(answer as Answer))));
      const given = watched.members.get(operationId);
      expect(
        named.filter((member) => !given?.has(member)),
        `members of ${operationId}, documented and never given`,
      ).toEqual([]);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
