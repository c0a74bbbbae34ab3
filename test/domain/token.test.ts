import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { grantIdOfCode, leastLength, mint, newGrantId, prove, type TokenKind } from '../../functions/domain/token.ts';
import { forgeriesOf, newKey, newKeyring } from './deployment.ts';

const LONGEST = 512;
const defaultLengths: Record<TokenKind, number> = { 'access token': 54, 'refresh token': 46, 'authorization code': 30 };
const kinds = Object.keys(defaultLengths) as TokenKind[];
const keyring = newKeyring(17);
const grantId = newGrantId(1_800_000_000);

const anyKind = fc.constantFrom(...kinds);
const anyGrantId = fc.uint8Array({ minLength: 12, maxLength: 12 });
const anyToken = anyKind.chain((kind) =>
  fc
    .record({ length: fc.integer({ min: leastLength(kind), max: LONGEST }), grantId: anyGrantId })
    .map((token) => ({ kind, ...token, text: mint(keyring, kind, token.length, token.grantId) })),
);

describe.each(kinds)('%s', (kind) => {
  const least = leastLength(kind);
  const text = mint(keyring, kind, defaultLengths[kind], grantId);

  it('has exactly the characters that it is to have, at every length that there is', () => {
    for (let length = least; length <= LONGEST; length += 1) {
      const minted = mint(keyring, kind, length, grantId);
      expect(minted).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(minted).toHaveLength(length);
      expect(prove(keyring, kind, minted)).toBeDefined();
    }
  });

  it('is refused under the least length and over the longest, and the message says which they are', () => {
    for (const length of [least - 1, LONGEST + 1, 0, -1, least + 0.5, Number.NaN]) {
      expect(() => mint(keyring, kind, length, grantId)).toThrow(
        `length of the ${kind} is ${length}; accepted: a whole number of characters from ${least} (under it fewer than 128 bits cannot be guessed) to 512`,
      );
    }
  });

  it('with one character changed, cut, prolonged or re-encoded is none', () => {
    const taken = forgeriesOf(text).filter((forged) => prove(keyring, kind, forged));
    expect(taken).toEqual([]);
  });

  it('is none of another kind', () => {
    for (const other of kinds.filter((each) => each !== kind)) {
      expect(prove(keyring, other, mint(keyring, kind, 60, grantId))).toBeUndefined();
    }
  });

  it('is none under the keys of another deployment, also of the same generation', () => {
    expect(prove(newKeyring(17), kind, text)).toBeUndefined();
    expect(prove(newKeyring(18), kind, text)).toBeUndefined();
  });

  it('varies in every character of its secret, over the whole alphabet, and never repeats', () => {
    const texts = Array.from({ length: 2000 }, () => mint(keyring, kind, defaultLengths[kind], grantId));
    expect(new Set(texts).size).toBe(texts.length);
    const begin = kind === 'authorization code' ? 1 : 17;
    for (let at = begin; at < defaultLengths[kind]; at += 1) {
      // Of 64 characters one is missing with a probability of 64 × (63/64)^2000, about 10^-12.
      expect(new Set(texts.map((each) => each[at])).size).toBe(64);
    }
  });

  it('is accepted under its key while that is in the ring, and refused after', () => {
    const [old, next] = [newKey(5), newKey(6)];
    const minted = mint(createKeyring([old]), kind, 60, grantId);
    expect(prove(createKeyring([next, old]), kind, minted)?.generation).toBe(5);
    expect(prove(createKeyring([old, next], 6), kind, minted)?.generation).toBe(5);
    expect(prove(createKeyring([next]), kind, minted)).toBeUndefined();
  });

  it('is minted under the current key of the ring', () => {
    const keys = [newKey(5), newKey(6)];
    expect(prove(createKeyring(keys, 6), kind, mint(createKeyring(keys, 6), kind, 60, grantId))?.generation).toBe(6);
    expect(prove(createKeyring(keys), kind, mint(createKeyring(keys), kind, 60, grantId))?.generation).toBe(5);
  });

  it('is told apart in a ring of all 64 generations', () => {
    const keys = Array.from({ length: 64 }, (_, generation) => newKey(generation));
    const ring = createKeyring(keys);
    for (const { generation } of keys) {
      const minted = mint(createKeyring(keys, generation), kind, 60, grantId);
      expect(prove(ring, kind, minted)?.generation).toBe(generation);
    }
  });

  it('of one seed is the same every time; of another seed, another key or another kind it is another', () => {
    const seed = Buffer.from('a seed');
    const length = LONGEST;
    const seeded = mint(keyring, kind, length, grantId, seed);
    expect(mint(keyring, kind, length, grantId, seed)).toBe(seeded);
    expect(prove(keyring, kind, seeded)).toBeDefined();
    const others = [
      mint(keyring, kind, length, grantId, Buffer.from('another')),
      mint(newKeyring(17), kind, length, grantId, seed),
      ...kinds.filter((other) => other !== kind).map((other) => mint(keyring, other, length, grantId, seed)),
    ];
    const secret = seeded.slice(17, 40);
    for (const other of others) expect(other).not.toContain(secret);
  });
});

describe('a token', () => {
  it('leads to its grant', () => {
    fc.assert(
      fc.property(anyToken, ({ kind, text, grantId }) => {
        const expected = kind === 'authorization code' ? grantIdOfCode(text) : grantId;
        expect(prove(keyring, kind, text)).toEqual({ generation: 17, grantId: Buffer.from(expected) });
      }),
    );
  });

  it('of a handle and garbage is none', () => {
    const garbage = fc.string({ unit: fc.constantFrom(...'ABCXYZabcxyz0189-_') });
    fc.assert(
      fc.property(anyToken, garbage, fc.integer({ min: 16, max: 40 }), ({ kind, text }, rest, kept) => {
        const forged = text.slice(0, kept) + rest;
        fc.pre(forged !== text);
        expect(prove(keyring, kind, forged)).toBeUndefined();
      }),
    );
  });

  it('is none when it is any other text', () => {
    fc.assert(
      fc.property(anyKind, fc.oneof(fc.string(), fc.base64String()), (kind, text) => {
        expect(prove(keyring, kind, text)).toBeUndefined();
      }),
    );
  });

  it('over the longest length is none, whatever its check: it is not even computed', () => {
    for (const length of [LONGEST, LONGEST + 1]) {
      const body = `R${'s'.repeat(length - 12)}`; // R: generation 17
      const text = body + keyring.mac(17, 'check', 'authorization code', '\0', body).toString('base64url').slice(0, 11);
      expect(prove(keyring, 'authorization code', text) !== undefined).toBe(length === LONGEST);
    }
  });

  it('needs a grant of 12 bytes, unless it is a code', () => {
    for (const kind of ['access token', 'refresh token'] as const) {
      for (const wrong of [undefined, Buffer.alloc(0), Buffer.alloc(11), Buffer.alloc(13)]) {
        expect(() => mint(keyring, kind, 54, wrong)).toThrow(/^grantId is not 12 bytes/);
      }
    }
    expect(mint(keyring, 'authorization code', 30)).toHaveLength(30);
  });
});

describe('the id of a grant', () => {
  it('begins with the time, so that later grants stand behind earlier ones, and is never the same', () => {
    const ids = Array.from({ length: 1000 }, () => newGrantId(1_800_000_000));
    expect(new Set(ids.map((id) => Buffer.from(id).toString('hex'))).size).toBe(ids.length);
    for (const id of ids) {
      expect(id).toHaveLength(12);
      expect(Buffer.compare(id, newGrantId(1_800_000_001))).toBe(-1);
    }
  });

  it('that a code becomes is one for each code', () => {
    const code = mint(keyring, 'authorization code', 30);
    expect(grantIdOfCode(code)).toHaveLength(12);
    expect(grantIdOfCode(code)).toEqual(grantIdOfCode(code));
    expect(grantIdOfCode(code)).not.toEqual(grantIdOfCode(mint(keyring, 'authorization code', 30)));
  });
});

describe('a ring of keys', () => {
  const key = newKey(1);

  it.each([
    ['no key', () => createKeyring([]), 'keys.current'],
    ['a current generation that is not in it', () => createKeyring([key], 2), 'keys.current'],
    ['a generation given twice', () => createKeyring([key, newKey(1)]), 'keys.generation'],
    ['a generation under 0', () => createKeyring([newKey(-1)]), 'keys.generation'],
    ['a generation over 63', () => createKeyring([newKey(64)]), 'keys.generation'],
    ['a generation that is not whole', () => createKeyring([newKey(0.5)]), 'keys.generation'],
    ['a secret of 31 bytes', () => createKeyring([{ generation: 0, secret: key.secret.subarray(1) }]), 'keys.secret'],
  ])('is refused with %s', (_, create, field) => {
    expect(create).toThrow(expect.objectContaining({ name: 'InputError', field }));
  });

  it('says nothing of a secret that it refuses', () => {
    const secret = Buffer.from('Mellon');
    expect(() => createKeyring([{ generation: 0, secret }])).toThrow(
      /^keys.secret is 6 bytes long; accepted: at least 32 random bytes$/,
    );
  });

  it('has a key of its own for each use and each generation', () => {
    const ring = createKeyring([newKey(0), newKey(1)]);
    const made = [0, 1].flatMap((generation) => [
      ring.mac(generation, 'check', 'text'),
      ring.mac(generation, 'digest', 'text'),
      ring.mac(generation, 'mint', 'text'),
      ring.sealKey(generation).export(),
    ]);
    expect(new Set(made.map((each) => each.toString('hex'))).size).toBe(made.length);
    expect(() => ring.mac(2, 'check', 'text')).toThrow('generation is not in the ring; accepted: 0, 1');
  });
});
