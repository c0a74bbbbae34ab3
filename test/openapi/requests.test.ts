import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { routes } from '../../functions/config/routes.ts';
import { ask, basic, deployment, formEvent, httpEvent, jsonEvent } from '../handlers/deployment.ts';
import { creators } from '../handlers/requests.ts';
import { nearValuesOf } from './arbitrary.ts';
import { bodyOf, faultsOf, type Operation, operationOf, type Parameter, type Schema } from './document.ts';

// The document and the handlers agree on which requests are well-formed.

type Members = Record<string, unknown>;

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

/** The parameters of an operation as one object. */
const parametersSchema = (parameters: readonly Parameter[]): Schema => ({
  type: 'object',
  properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
  required: parameters.filter(({ required }) => required).map(({ name }) => name),
});

/** A number in a query is text. */
const parsed = (parameters: Members, schema: Schema): Members =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      schema.properties?.[name]?.type === 'integer' && /^(0|[1-9]\d*)$/.test(String(value)) ? Number(value) : value,
    ]),
  );

interface Case {
  readonly schema: Schema;
  /** What is sent of a value; nothing of one that cannot be sent this way. */
  readonly sent: (value: Members) => Members | undefined;
  readonly event: (members: Members) => APIGatewayProxyEventV2;
}

const asText = (value: Members): Members | undefined => {
  const texts = Object.entries(value).map(([name, each]) => [name, typeof each === 'number' ? String(each) : each]);
  return texts.every(([name, each]) => name !== '' && isText(each) && each.isWellFormed())
    ? Object.fromEntries(texts)
    : undefined;
};

function caseOf(method: string, operation: Operation, authorization: string): Case {
  const body = bodyOf(operation);
  if (body?.type === 'application/json') {
    return { schema: body.schema, sent: (value) => value, event: (members) => jsonEvent(members) };
  }
  if (body) {
    const headers = (members: Members) =>
      authorization === 'client' && !('client_secret' in members || 'client_assertion' in members)
        ? basic(isText(members.client_id) ? members.client_id : 'web')
        : {};
    const event = (members: Members) => formEvent(members as Record<string, string>, headers(members));
    return { schema: body.schema, sent: asText, event };
  }
  const { parameters = [] } = operation;
  const schema = parametersSchema(parameters);
  const inPath = new Set(parameters.filter((each) => each.in === 'path').map(({ name }) => name));
  return {
    schema,
    sent: (value) => {
      // Of a parameter that it does not name OpenAPI says nothing.
      const named = Object.entries(value).filter(([name]) => parameters.some((parameter) => parameter.name === name));
      const members = asText(Object.fromEntries(named));
      return members && [...inPath].every((name) => name in members) ? parsed(members, schema) : undefined;
    },
    event: (members) => {
      const texts = Object.entries(members).map(([name, value]): [string, string] => [name, String(value)]);
      return httpEvent({
        method,
        query: new URLSearchParams(texts.filter(([name]) => !inPath.has(name))).toString(),
        pathParameters: Object.fromEntries(texts.filter(([name]) => inPath.has(name))),
      });
    },
  };
}

// What no schema of one value can say: one of several parameters must be given, and `after` must come from a page.
const BEYOND = /one or more of|the store does not take one of the values/;

describe('a request that fits the document is well-formed to the function, and what the function takes fits', () => {
  it.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s',
    async (_, { method, path, handler, authorization }) => {
      const made = await deployment({ accessTokenStores: { tokens: { cache: 'all', foreignTokens: true } } });
      const web = await made.runtime.clients.find('web');
      // Whoever asks is known, so that nothing is refused for that before it is looked at.
      const clients = { find: (clientId: string) => web && { ...web, clientId } };
      const respond = creators[handler]({ ...made.runtime, clients });
      const { schema, sent, event } = caseOf(method, operationOf({ method, path }), authorization);
      const counts = { fits: 0, doesNot: 0 };
      await fc.assert(
        fc.asyncProperty(nearValuesOf(schema), async (value) => {
          const members = sent(value as Members);
          fc.pre(members !== undefined);
          const faults = faultsOf(schema, members);
          counts[faults === undefined ? 'fits' : 'doesNot'] += 1;
          const { status, body } = await ask(respond, event(members));
          expect(status).toBeLessThan(500);
          const isMalformed = body.error === 'invalid_request' && !BEYOND.test(body.error_description);
          // A function with a JSON body looks at it before anything else: what it refuses later, it has taken.
          const isTaken = status < 300 || (authorization === 'iam' && body.error !== 'invalid_request');
          const seen = { isMalformed, isTaken, ...(faults !== undefined && { faults }) };
          const what = `${JSON.stringify(members)} ${JSON.stringify(body)}`;
          if (faults === undefined) expect(seen, what).toMatchObject({ isMalformed: false });
          if (isTaken) expect(seen, what).not.toHaveProperty('faults');
        }),
        { numRuns: 300 },
      );
      expect(Math.min(...Object.values(counts)), JSON.stringify(counts)).toBeGreaterThan(5);
    },
  );
});
