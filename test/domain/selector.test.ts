import fc from 'fast-check';
import { expect, it } from 'vitest';
import { leadOf, matches, selectorKey, selectorKeysOf } from '../../functions/domain/selector.ts';

const value = fc.constantFrom('one', 'other', '');
const owner = fc.record(
  { subject: value, clientId: value, applicationId: value, consentId: value },
  { requiredKeys: ['clientId'] },
);
const selector = fc
  .record({ subject: value, clientId: value, applicationId: value, consentId: value }, { requiredKeys: [] })
  .filter((fields) => Object.keys(fields).length > 0);
const text = (key: Uint8Array) => Buffer.from(key).toString('hex');

it('a revocation by a selector concerns exactly the grants that match it', () => {
  fc.assert(
    fc.property(owner, selector, (grant, selected) => {
      const concerned = selectorKeysOf(grant)
        .map(text)
        .includes(text(selectorKey(selected)));
      expect(concerned).toBe(matches(grant, selected));
    }),
    { numRuns: 2000 },
  );
});

it('two selectors have one key only when they are the same', () => {
  fc.assert(
    fc.property(selector, selector, (one, other) => {
      const sameFields = Object.entries({ ...one, ...other }).every(
        ([field]) => Reflect.get(one, field) === Reflect.get(other, field),
      );
      expect(text(selectorKey(one)) === text(selectorKey(other))).toBe(sameFields);
    }),
    { numRuns: 2000 },
  );
});

it('grants are looked for by what likely has the fewest, and by something', () => {
  const all = { clientId: 'c', applicationId: 'a', consentId: 'o', subject: 's' };
  expect(leadOf(all)).toBe('subject');
  expect(leadOf({ clientId: 'c', applicationId: 'a', consentId: 'o' })).toBe('consentId');
  expect(leadOf({ clientId: 'c', applicationId: 'a' })).toBe('applicationId');
  expect(leadOf({ clientId: '' })).toBe('clientId');
  expect(() => leadOf({})).toThrow(expect.objectContaining({ code: 'invalid' }));
});
