import { type Adapter, errors } from 'oidc-provider';
import type { CodeRecord } from '../../functions/domain/authorization-codes.ts';
import { seconds } from '../../functions/domain/clock.ts';
import { digest, keysOf } from '../../functions/domain/digest.ts';
import { newAttempt, retention } from '../../functions/domain/issuing.ts';
import type { CodeState, RedeemOutcome } from '../../functions/domain/ports.ts';
import { grantIdOfCode } from '../../functions/domain/token.ts';
import type { AdapterParts } from './parts.ts';
import { authorizationFrom, type Payload, payloadFrom } from './payloads.ts';
import { isForeign } from './settling.ts';

/** The AuthorizationCode model, over the authorization code store. */
export function createCodeModel({ codes, requests, revokeGrantOfCode }: AdapterParts): Adapter {
  const { store, recognition, codec, issuing, clock } = codes;

  async function stateOf(value: string): Promise<CodeState> {
    for (const { digest } of keysOf(recognition, 'authorization code', value)) {
      const state = await store.find(digest, { now: seconds(clock) });
      if (state.outcome !== 'unknown') return state;
    }
    return { outcome: 'unknown' };
  }

  return {
    async upsert(id, payload) {
      isForeign(recognition, 'authorization code', id);
      const grantId = grantIdOfCode(id);
      const expiresAt = Number(payload.exp);
      const record: CodeRecord = { authorization: authorizationFrom(payload as Payload), authorizedAtMs: clock() };
      const codeDigest = digest(recognition.keyring, recognition.algorithm, 'authorization code', id);
      await store.add(
        {
          digest: codeDigest,
          grantId,
          // The provider checks client, redirect URI, challenge and key itself, before it consumes the code.
          binding: codeDigest,
          expiresAt,
          // The first tokens have expired by then, if the provider's `ttl` is that of the configuration.
          retainUntil: retention(expiresAt + issuing.accessToken.expiresIn, expiresAt + issuing.refreshToken.expiresIn),
          data: codec.encode(grantId, record),
        },
        { now: seconds(clock), attempt: newAttempt() },
      );
    },

    async find(id) {
      const state = await stateOf(id);
      if (state.outcome === 'unknown') return undefined;
      const { grantId, data, expiresAt } = state.code;
      const { authorization, authorizedAtMs } = codec.decode<CodeRecord>(grantId, data);
      const request = requests.currentTokenRequest();
      if (request) Object.assign(request, { grantId, authorizedAtMs });
      // A token request learns that the code was used from `consume`, which ends its grant. Told here, the provider would
      // end every grant of the consent, and the winner of a race with it, before it has its answer.
      const consumed = state.outcome === 'redeemed' && !request;
      return {
        ...payloadFrom(authorization),
        jti: id,
        kind: 'AuthorizationCode',
        iat: Math.floor(authorizedAtMs / 1000),
        exp: expiresAt,
        ...(consumed && { consumed: state.redeemedAt }),
      };
    },

    async consume(id) {
      const now = seconds(clock);
      let result: RedeemOutcome = { outcome: 'unknown' };
      for (const { digest } of keysOf(recognition, 'authorization code', id)) {
        result = await store.redeem(digest, { binding: digest, now, attempt: newAttempt() });
        if (result.outcome !== 'unknown') break;
      }
      if (result.outcome === 'redeemed') return;
      if (result.outcome === 'replayed') await revokeGrantOfCode(id);
      throw new errors.InvalidGrant(`authorization code is ${result.outcome}`);
    },

    async destroy(id) {
      for (const { digest } of keysOf(recognition, 'authorization code', id)) await store.remove(digest);
    },

    // A code that is still to be redeemed stands and falls with its Grant, and with `authorizedAtMs` where that stays.
    async revokeByGrantId() {},
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
  };
}
