import { expect, it } from 'vitest';
import { secretDigest, secretMatches } from '../../functions/domain/clients.ts';

const client = (...secretDigests: string[]) => ({ secretDigests });

it("a client's secret is any of those that are registered, and nothing else", () => {
  const replaced = client(secretDigest('old'), secretDigest('new'));
  expect([secretMatches(replaced, 'old'), secretMatches(replaced, 'new')]).toEqual([true, true]);
  for (const wrong of ['', 'Old', 'newer', secretDigest('new')]) expect(secretMatches(replaced, wrong)).toBe(false);
  for (const without of [client(), client(''), client('sha256:'), client('new')]) {
    expect(secretMatches(without, 'new')).toBe(false);
    expect(secretMatches(without, '')).toBe(false);
  }
  expect(secretMatches({}, 'new')).toBe(false);
});

it('a digest of a secret is SHA-256 in base64url, as the configuration takes it', () => {
  expect(secretDigest('example-app-secret')).toBe('sha256:P1T9ePuN5xXzI9tc3Xmkchxak1iMdieYHh-i4BRwPQg');
});
