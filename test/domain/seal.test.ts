import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { createCodec } from '../../functions/domain/records.ts';
import { openUnderKeyring, openUnderToken, sealUnderKeyring, sealUnderToken } from '../../functions/domain/seal.ts';
import { newGrantId } from '../../functions/domain/token.ts';
import { newKey } from './deployment.ts';

const plain = Buffer.from('speak, friend, and enter');
const bytes = fc.uint8Array({ maxLength: 200 });
const [old, next] = [newKey(3), newKey(4)];
const keyring = createKeyring([old]);
const owner = newGrantId(1_800_000_000);
const another = newGrantId(1_800_000_000);

/** Every change of one byte, and every cut. */
const changesOf = (sealed: Buffer) =>
  [...sealed].flatMap((byte, at) => {
    const changed = Buffer.from(sealed);
    changed[at] = byte ^ 1;
    return [changed, sealed.subarray(0, at)];
  });

describe('what is sealed under a token', () => {
  it('can be read with the same token and use', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), bytes, (value, use, content) => {
        const sealed = sealUnderToken(value, use, content);
        expect(openUnderToken(value, use, sealed)).toEqual(Buffer.from(content));
      }),
    );
  });

  it('cannot be read with another token, for another use, or once it was changed', () => {
    const sealed = sealUnderToken('token', 'use', plain);
    expect(() => openUnderToken('tokeN', 'use', sealed)).toThrow();
    expect(() => openUnderToken('token', 'another use', sealed)).toThrow();
    for (const changed of changesOf(sealed)) expect(() => openUnderToken('token', 'use', changed)).toThrow();
  });

  it('is other bytes every time, none of which tell what it is', () => {
    const [one, other] = [sealUnderToken('token', 'use', plain), sealUnderToken('token', 'use', plain)];
    expect(one).not.toEqual(other);
    expect(one.includes('friend')).toBe(false);
  });
});

describe('what is sealed under the ring of keys', () => {
  const sealed = sealUnderKeyring(keyring, owner, plain);

  it('can be read while its key is in the ring, and not after', () => {
    expect(openUnderKeyring(createKeyring([next, old]), owner, sealed)).toEqual(plain);
    expect(() => openUnderKeyring(createKeyring([next]), owner, sealed)).toThrow('generation is not in the ring');
  });

  it('cannot be read under another key of the same generation, in another record, or once it was changed', () => {
    expect(() => openUnderKeyring(createKeyring([newKey(3)]), owner, sealed)).toThrow();
    expect(() => openUnderKeyring(keyring, another, sealed)).toThrow();
    for (const changed of changesOf(sealed)) expect(() => openUnderKeyring(keyring, owner, changed)).toThrow();
  });
});

describe('records', () => {
  const [sealing, open] = [createCodec(keyring, true), createCodec(keyring, false)];
  const record = { subject: 'Frodo', list: [1, 'ä', null, { nested: true }] };

  it('are read in both forms, whichever form is written now', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const expected = JSON.parse(JSON.stringify(value));
        for (const writer of [sealing, open]) {
          for (const reader of [sealing, open])
            expect(reader.decode(owner, writer.encode(owner, value))).toEqual(expected);
        }
      }),
    );
  });

  it('show nothing when they are sealed, and cannot be read as those of another owner', () => {
    const sealed = sealing.encode(owner, record);
    expect(sealed.includes('Frodo')).toBe(false);
    expect(() => sealing.decode(another, sealed)).toThrow();
  });

  it('that are sealed can be read until their key leaves the ring', () => {
    const sealed = sealing.encode(owner, record);
    expect(createCodec(createKeyring([next, old]), true).decode(owner, sealed)).toEqual(record);
    expect(() => createCodec(createKeyring([next]), true).decode(owner, sealed)).toThrow(
      'generation is not in the ring',
    );
  });
});
