import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { digest } from '../../functions/domain/digest.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { grantIdOfCode, mint, type TokenKind } from '../../functions/domain/token.ts';
import type { Case } from './harness.ts';
import {
  keyOf,
  newAccess,
  newAttempt,
  newCode,
  newGrant,
  newName,
  newRefresh,
  newSuccessor,
  rotate,
} from './records.ts';

const HANDLE = 16;

export const cases: Case[] = [
  {
    guarantee: 'G1',
    name: 'what is stored of codes and tokens is their digests: no value, and no part of its secret, can be read back',
    omit: ({ dump }) => !dump && 'what is stored cannot be read from here',
    async run({ accessTokens, authorizationCodes, clock, harness }) {
      const now = clock.now();
      const keyring = createKeyring([{ generation: 7, secret: randomBytes(32) }]);
      const values: string[] = [];
      const minted = (kind: TokenKind, grantId?: Uint8Array) => {
        const value = mint(keyring, kind, 60, grantId);
        values.push(value);
        return { value, digest: digest(keyring, 'SHA-256', kind, value) };
      };
      const { value: codeValue, ...coded } = minted('authorization code');
      const code = newCode(now, { ...coded, grantId: grantIdOfCode(codeValue) });
      await authorizationCodes.add(code, { now, attempt: newAttempt() });
      await authorizationCodes.redeem(code.digest, { binding: code.binding, now, attempt: newAttempt() });
      // What can be read is read: the grant's subject and data prove that the dump shows what was stored.
      const grant = newGrant(now, { grantId: code.grantId, subject: newName('subject'), data: randomBytes(32) });
      const tokens = () => ({
        refresh: newRefresh(now, { digest: minted('refresh token', grant.grantId).digest }),
        access: newAccess(now, { digest: minted('access token', grant.grantId).digest }),
      });
      const first = tokens();
      await accessTokens.persist({ grant, ...first }, { now, attempt: newAttempt() });
      let key = keyOf(grant, first.refresh);
      for (let generation = 0; generation < 3; generation += 1) {
        const successor = newSuccessor(now, tokens());
        await rotate(accessTokens, grant, key, successor, { now });
        key = keyOf(grant, successor.refresh);
      }
      await accessTokens.revokeRefresh(key, { now });
      const dump = Buffer.from((await harness.dump?.()) ?? []);
      const forms = (bytes: Buffer) => [
        bytes,
        ...(['hex', 'base64', 'base64url'] as const).map((as) => bytes.toString(as)),
      ];
      const isStored = (bytes: Uint8Array) => forms(Buffer.from(bytes)).some((form) => dump.includes(form));
      assert.ok(isStored(Buffer.from(grant.subject ?? '')), 'the dump does not show a stored subject');
      assert.ok(isStored(grant.data), 'the dump does not show stored data');
      for (const value of values) {
        const secret = value.slice(value === codeValue ? 0 : HANDLE);
        assert.ok(!isStored(Buffer.from(secret)), 'a value can be read from the dump');
        assert.ok(!isStored(Buffer.from(secret.slice(0, 22))), 'half of a value can be read from the dump');
        assert.ok(!isStored(Buffer.from(secret, 'base64url')), 'the bytes of a value can be read from the dump');
      }
    },
  },
];
