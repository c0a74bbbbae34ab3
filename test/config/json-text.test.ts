import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConfiguration } from '../../functions/config/configuration.ts';
import { ConfigurationError } from '../../functions/config/faults.ts';
import { readJson } from '../../functions/config/json-text.ts';
import { exampleText } from './documents.ts';

const attempt = (read: () => unknown): { value: unknown } | { error: unknown } => {
  try {
    return { value: read() };
  } catch (error) {
    return { error };
  }
};

describe('text that is not JSON is refused with line, column and what is accepted:', () => {
  it.each([
    ['', 'line 1, column 1: found the end of the text; accepted: a value'],
    ['{\n  "issuing": {}\n', 'line 3, column 1: found the end of the text; accepted: , or }'],
    ['{\n  "issuing": {},\n}', 'line 3, column 1: found }; accepted: a name in double quotes'],
    ["{ 'issuing': {} }", 'line 1, column 3: found text that is not JSON; accepted: a name in double quotes'],
    ['{ "issuing" {} }', 'line 1, column 13: found {; accepted: :'],
    ['{ "a": [1 2] }', 'line 1, column 11: found text that is not JSON; accepted: , or ]'],
    ['{\n\t"a": "S3cret\n}', 'line 2, column 7: found text that is not JSON; accepted: a value'],
    ['{ "a": S3cret }', 'line 1, column 8: found text that is not JSON; accepted: a value'],
    ['{ "a": 01 }', 'line 1, column 8: found text that is not JSON; accepted: a value'],
    ['{} // done', 'line 1, column 4: found text that is not JSON; accepted: nothing after the value'],
    ['\u00a0{}', 'line 1, column 1: found text that is not JSON; accepted: a value'],
  ])('%j', (text, message) => {
    expect(() => readConfiguration(text)).toThrow(message);
    expect(() => readConfiguration(text)).not.toThrow('S3cret');
  });
});

it('a name that an object has twice is a fault, beside all others', () => {
  const text = `{
    "caches": { "c": { "engine": "memory" }, "c": { "engine": "valkey", "engine": "dynamodb" } },
    "clients": [{ "a": 1, "a": 2 }]
  }`;
  const { error } = attempt(() => readConfiguration(text)) as { error: ConfigurationError };
  expect(error.faults.map(({ path, kind }) => `${path}: ${kind}`)).toEqual([
    'caches["c"]: a second one of this name',
    'caches["c"].engine: a second one of this name',
    'clients: a list',
    'clients[0].a: a second one of this name',
  ]);
});

describe('any text', () => {
  const pieces = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '-',
      '0',
      '1.5e3',
      'true',
      'null',
      '"a"',
      '"\\u00e9"',
      ' ',
      '\n',
      '\u0000',
    ],
  );
  const texts = fc.oneof(
    fc.json(),
    fc.array(pieces, { maxLength: 8 }).map((each) => each.join('')),
    fc
      .tuple(fc.json(), fc.nat(), pieces)
      .map(([json, at, piece]) => json.slice(0, at % json.length) + piece + json.slice((at % json.length) + 1)),
  );

  it('is JSON for readConfiguration exactly if it is for JSON.parse, and then the same value', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const expected = attempt(() => JSON.parse(text));
        const actual = attempt(() => readJson(text).json);
        if ('value' in expected) expect(actual).toEqual(expected);
        else expect(actual).toEqual({ error: expect.any(ConfigurationError) });
      }),
      { numRuns: 2000 },
    );
  });
});

it('the example cut off anywhere is refused at its end, never half read', () => {
  const whole = exampleText.trimEnd();
  for (let length = 0; length < whole.length; length += 7) {
    expect(() => readConfiguration(whole.slice(0, length))).toThrow(/line \d+, column \d+: found/);
  }
});
