import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { routes } from '../../functions/config/routes.ts';
import { bodyOf, document, faultsOf, type Operation, operationOf, resolved } from './document.ts';

const all: readonly [string, Operation][] = routes.map((route) => [
  `${route.method} ${route.path}`,
  operationOf(route),
]);

describe('the OpenAPI document', () => {
  it('is one, by the schema of OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(document);
    expect({ valid, errors }).toEqual({ valid: true });
  });

  it('has every route and no other', () => {
    const documented = Object.entries<object>(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(documented.toSorted()).toEqual(all.map(([name]) => name).toSorted());
    expect(new Set(all.map(([, { operationId }]) => operationId)).size).toBe(all.length);
  });

  it('asks for credentials as the route does', () => {
    const schemes = { iam: ['aws_sigv4'], client: ['client_secret_basic', undefined], none: [] };
    for (const { method, path, authorization } of routes) {
      const { security } = document.paths[path][method.toLowerCase()];
      expect(
        security.map((each: object) => Object.keys(each)[0]),
        path,
      ).toEqual(schemes[authorization]);
    }
    expect(Object.keys(document.components.securitySchemes)).toEqual(['aws_sigv4', 'client_secret_basic']);
  });

  it.each(all)('gives examples that fit: %s', (_, operation) => {
    const body = bodyOf(operation);
    const parameters = operation.parameters ?? [];
    expect(Boolean(body?.example) || parameters.some(({ example }) => example !== undefined)).toBe(true);
    if (body) expect(faultsOf(body.schema, body.example)).toBeUndefined();
    for (const { name, schema, example } of parameters) {
      if (example !== undefined) expect(faultsOf(schema, example), name).toBeUndefined();
    }
    const [[status, given] = []] = Object.entries(operation.responses);
    const { schema, example } = resolved(given ?? { headers: {}, content: {} }).content['application/json'] ?? {};
    expect(Number(status)).toBeLessThan(300);
    expect(example).toBeDefined();
    expect(faultsOf(schema ?? {}, example)).toBeUndefined();
  });

  it('has no value in an example that could be taken for a real one', () => {
    const values = JSON.stringify(document).matchAll(
      /"(?:code|[a-z]*_?token|[a-z_]*secret|grant_id|digest|attempt)":"([^"]+)"/g,
    );
    for (const [, value] of values) expect(value).toMatch(/^EXAMPLE-/);
  });
});
