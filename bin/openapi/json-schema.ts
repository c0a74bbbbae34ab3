import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';

/** A JSON Schema of draft 2020-12, which OpenAPI 3.1 takes. */
export type Schema = Readonly<Record<string, unknown>>;

const selectors = ['subject', 'client_id', 'application_id', 'consent_id'];
const anySelector = { anyOf: selectors.map((name) => ({ required: [name] })) };
const without = (...names: string[]) => ({ not: { anyOf: names.map((name) => ({ required: [name] })) } });

/** What the schemas check by a function, as JSON Schema says it; found by the words for what is accepted. */
const checks: Readonly<Record<string, Schema>> = {
  '': {},
  'an object': { type: 'object' },
  'objects with a type': { type: 'object', properties: { type: { type: 'string' } }, required: ['type'] },
  'an object of texts and lists of texts': {
    type: 'object',
    additionalProperties: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
  },
  'jkt, x5t#S256 or both': { minProperties: 1 },
  [`one or more of ${selectors.join(', ')}`]: anySelector,
  [`one or more of ${selectors.join(', ')}, or grant_id, alone or with access_tokens_only`]: {
    oneOf: [
      { required: ['grant_id'], ...without(...selectors) },
      { ...anySelector, ...without('grant_id', 'access_tokens_only') },
    ],
  },
};

const wordsOf = (part: object) => ('message' in part && typeof part.message === 'string' ? part.message : '');

const conversion = (names: ReadonlyMap<object, string>): ConversionConfig => ({
  target: 'draft-2020-12',
  typeMode: 'input',
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    const name = names.get(valibotSchema);
    if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
    if (valibotSchema.type === 'optional' && jsonSchema.type === 'integer')
      return { ...jsonSchema, default: Number(jsonSchema.default) };
    const check = checks[wordsOf(valibotSchema)];
    return valibotSchema.type === 'custom' && check ? { ...jsonSchema, ...check } : undefined;
  },
  overrideAction: ({ valibotAction, jsonSchema }) => {
    const words = wordsOf(valibotAction);
    const [, least, most] = /^a whole number from (\d+) to (\d+)$/.exec(words) ?? [];
    // A parameter of a query is text; what it says is a number.
    if (valibotAction.type === 'regex' && least !== undefined)
      return { type: 'integer', minimum: Number(least), maximum: Number(most) };
    // Patterns of JSON Schema are Unicode's anyway.
    if (valibotAction.type === 'regex' && 'requirement' in valibotAction)
      return { ...jsonSchema, pattern: (valibotAction.requirement as RegExp).source };
    const check = checks[words];
    return valibotAction.type === 'check' && check ? { ...jsonSchema, ...check } : undefined;
  },
});

/** A schema of valibot as JSON Schema. @throws {Error} it checks something by a function that is not known here */
export function schemaOf(schema: GenericSchema, names: ReadonlyMap<object, string> = new Map()): Schema {
  const { $schema: _, ...converted } = toJsonSchema(schema, conversion(names));
  return converted as Schema;
}
