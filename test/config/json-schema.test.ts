import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { jsonSchema } from '../../functions/config/json-schema.ts';
import { type Document, everything, exampleText } from './documents.ts';

const schema: Document = JSON.parse(JSON.stringify(jsonSchema()));
const validate = new Ajv({ validateFormats: false }).compile(schema);

const accepts = (document: unknown): boolean => {
  try {
    parseConfiguration(document);
    return true;
  } catch {
    return false;
  }
};

const changed = (change: (document: Document) => void): Document => {
  const document = everything();
  change(document);
  return document;
};

describe('the JSON Schema and the program agree on', () => {
  it.each<[string, unknown, boolean]>([
    ['the example', JSON.parse(exampleText), true],
    ['a configuration that sets everything', everything(), true],
    ['an empty one', {}, true],
    ['a list', [], false],
    ['an unknown section', changed((d) => Object.assign(d, { stores: {} })), false],
    ['an unknown field', changed((d) => Object.assign(d.artifactStores.devices, { ttl: 1 })), false],
    ['a list of stores', changed((d) => Object.assign(d, { clientAccessTokenStores: [] })), false],
    ['an empty name', changed((d) => Object.assign(d.clientAccessTokenStores, { '': { cache: 'memory' } })), false],
    [
      'a name that objects cannot hold',
      JSON.parse('{ "clients": { "constructor": { "tokenEndpointAuthMethod": "none" } } }'),
      false,
    ],
    ['a store without its reference', changed((d) => Object.assign(d.artifactStores, { devices: {} })), false],
    ['a number out of range', changed((d) => Object.assign(d.issuing.accessToken, { length: 38 })), false],
    ['a fraction', changed((d) => Object.assign(d.issuing.accessToken, { expiresIn: 0.5 })), false],
    ['another engine’s kind', changed((d) => Object.assign(d.caches.memory, { engine: 'db2' })), false],
    ['an embedded MySQL', changed((d) => Object.assign(d.databases.embedded, { engine: 'mysql' })), false],
    [
      'a keyspace of 49 characters',
      changed((d) => Object.assign(d.cassandra.cluster, { keyspace: 'k'.repeat(49) })),
      false,
    ],
    ['a plain client secret', changed((d) => Object.assign(d.clients.basic, { secretDigests: ['Mellon'] })), false],
    ['a private key', changed((d) => Object.assign(d.clients.signing.jwks.keys[0], { d: 'Mellon' })), false],
    ['a public client with a secret', changed((d) => Object.assign(d.clients.public, { secretDigests: [] })), false],
  ])('%s', (_, document, good) => {
    expect({ schema: validate(document), program: accepts(document) }).toEqual({ schema: good, program: good });
  });
});

it('every setting is described to the editor', () => {
  const undescribed: string[] = [];
  const walk = (part: Document, path: string): void => {
    for (const option of part.anyOf ?? []) walk(option, path);
    for (const [name, setting] of Object.entries<Document>(part.properties ?? {})) {
      // A choice among objects is described by their fields.
      if (!setting.description && !setting.properties) undescribed.push(`${path}.${name}`);
      walk(setting, `${path}.${name}`);
    }
    if (typeof part.additionalProperties === 'object') walk(part.additionalProperties, `${path}.*`);
    if (part.items) walk(part.items, `${path}[]`);
  };
  walk(schema, '');
  expect(undescribed).toEqual([]);
});
