import fc from 'fast-check';
import type { Schema } from './document.ts';

/** Values that a schema of the document describes, its rules among members left aside; more of its corners than of its middle. */
function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  const { enum: words, type, pattern, items, properties, required = [], minimum, maximum } = schema;
  if (schema.anyOf && type === undefined) return fc.oneof(...schema.anyOf.map(valuesOf));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (words) return fc.constantFrom(...words);
  switch (type) {
    case 'string':
      return pattern === undefined ? fc.string({ minLength: 1 }) : fc.stringMatching(bounded(pattern));
    case 'integer':
      return fc.integer({ min: minimum ?? 0, max: maximum ?? 2 ** 31 });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(items ? valuesOf(items) : fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 });
    case 'object':
      if (properties) {
        const members = Object.entries(properties).map(([name, member]) => [name, valuesOf(member)]);
        const left = Object.keys(properties).filter((name) => !required.includes(name));
        return fc
          .tuple(fc.record<Record<string, unknown>>(Object.fromEntries(members)), fc.subarray(left))
          .map(([whole, dropped]) =>
            Object.fromEntries(Object.entries(whole).filter(([name]) => !dropped.includes(name))),
          );
      }
      return fc.dictionary(
        fc.string(),
        schema.additionalProperties ? valuesOf(schema.additionalProperties) : fc.jsonValue({ maxDepth: 3 }),
        { maxKeys: 3 },
      );
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

// Text of thousands of characters says nothing more than text of a few; and fast-check knows no class of Unicode that is
// left out.
const bounded = (pattern: string) =>
  new RegExp(pattern.replaceAll(/\{1,\d{3,}\}/g, '{1,20}').replace('[^\\p{Cc}\\p{Cs}]', '[ -~¡-ÿ]'), 'u');

const junk = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', ' ', 'S256', 'plain', 'a'.repeat(300), 'a  b', 'ö', '\u0000', -1, 0.5, 2 ** 60),
);

/** Values of a schema, some of them with a member replaced, left out or added. */
export const nearValuesOf = (schema: Schema): fc.Arbitrary<unknown> => {
  const names = Object.keys(schema.properties ?? {});
  const change = fc.record({
    name: fc.oneof(fc.constantFrom(...names), fc.constantFrom('surprise', '', 'constructor')),
    value: fc.option(junk, { nil: undefined }), // of JSON it disappears
  });
  return fc
    .tuple(valuesOf(schema), fc.array(change, { maxLength: 2 }))
    .map(([value, changes]) => ({
      ...(value as object),
      ...Object.fromEntries(changes.map(({ name, value }) => [name, value])),
    }))
    .map((value) => JSON.parse(JSON.stringify(value)));
};
