import { createHash } from 'node:crypto';
import { type Adapter, errors } from 'oidc-provider';
import { seconds } from '../../functions/domain/clock.ts';
import { newAttempt } from '../../functions/domain/issuing.ts';
import type { ArtifactState } from '../../functions/domain/ports.ts';
import { openUnderKeyring, sealUnderKeyring } from '../../functions/domain/seal.ts';
import { grantIdOfCode } from '../../functions/domain/token.ts';
import type { AdapterParts } from './parts.ts';
import type { Payload } from './payloads.ts';

/** What is sealed of a record. */
interface Content {
  readonly payload: Payload;
  readonly storedAtMs: number;
}

/** What becomes a grant at the token endpoint, as a code does; authorized when it was last stored. */
const GRANT_SOURCES = new Set(['DeviceCode', 'BackchannelAuthenticationRequest', 'PreAuthorizedCode']);

const sha256 = (value: string) => createHash('sha256').update(value).digest();

/**
 * Every model that is neither code nor token. Its id is a cookie, a code or a bearer value: the store has its digest. The
 * payload holds ids of other models, client secrets and what the user typed, and a look-up by uid or user code must give
 * the id back: it is sealed whole under the keyring. As in the provider's own adapter a record lives its clock tolerance
 * longer than the provider was told; the provider looks at `exp` itself.
 */
export function createArtifactModel(
  model: string,
  { artifacts, tokens, requests, clockTolerance, revokeConsent, revokeGrantOfCode }: AdapterParts,
): Adapter {
  const { clock, recognition } = tokens;
  const { keyring } = recognition;
  const becomesGrant = GRANT_SOURCES.has(model);
  const context = (id: Uint8Array) => Buffer.concat([Buffer.from(`${model} `), id]);

  // A user code can be guessed through an unkeyed digest.
  const userCodeDigest = (userCode: string, generation: number) => keyring.mac(generation, 'digest', userCode);

  function payloadOf(state: ArtifactState): Payload | undefined {
    if (state.outcome !== 'active') return undefined;
    const { id, data } = state.artifact;
    const { payload, storedAtMs }: Content = JSON.parse(openUnderKeyring(keyring, context(id), data).toString());
    const request = becomesGrant ? requests.currentTokenRequest() : undefined;
    if (request) {
      // As with a code, `consume` tells whether it was used before.
      Object.assign(request, { grantId: grantIdOfCode(String(payload.jti)), authorizedAtMs: storedAtMs });
      return payload;
    }
    return state.consumedAt === undefined ? payload : { ...payload, consumed: state.consumedAt };
  }

  return {
    async upsert(id, payload, expiresIn) {
      const now = seconds(clock);
      const digest = sha256(id);
      const content: Content = { payload: payload as Payload, storedAtMs: clock() };
      const artifact = {
        kind: model,
        id: digest,
        data: sealUnderKeyring(keyring, context(digest), Buffer.from(JSON.stringify(content))),
        ...(expiresIn !== undefined && {
          expiresAt: now + expiresIn + clockTolerance,
          retainUntil: now + expiresIn + clockTolerance,
        }),
        ...(model === 'Session' && payload.uid && { uid: sha256(payload.uid) }),
        ...(payload.userCode && { userCode: userCodeDigest(payload.userCode, keyring.current) }),
        ...(becomesGrant && payload.grantId && { consentId: payload.grantId }),
      };
      if (model !== 'ReplayDetection') return artifacts.put(artifact, { now });
      // The provider looks first and stores then; of two at once only one may pass.
      const first = await artifacts.putOnce(artifact, { now, attempt: newAttempt() });
      if (!first) throw new errors.InvalidGrant('jti already used');
    },

    async find(id) {
      return payloadOf(await artifacts.find(model, sha256(id), { now: seconds(clock) }));
    },

    async findByUid(uid) {
      return payloadOf(await artifacts.findByUid(model, sha256(uid), { now: seconds(clock) }));
    },

    async findByUserCode(userCode) {
      for (const generation of keyring.generations) {
        const digest = userCodeDigest(userCode, generation);
        const payload = payloadOf(await artifacts.findByUserCode(model, digest, { now: seconds(clock) }));
        if (payload) return payload;
      }
      return undefined;
    },

    async consume(id) {
      const consumed = await artifacts.consume(model, sha256(id), { now: seconds(clock), attempt: newAttempt() });
      if (consumed) return;
      if (becomesGrant) await revokeGrantOfCode(id);
      throw model === 'PushedAuthorizationRequest'
        ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
        : new errors.InvalidGrant(`${model} already consumed, or gone`);
    },

    async destroy(id) {
      // Without its Grant the provider takes no token of the consent any more; neither may others.
      if (model === 'Grant') await revokeConsent(id);
      await artifacts.remove(model, sha256(id));
    },

    async revokeByGrantId(grantId) {
      await artifacts.removeByConsent(grantId);
    },
  };
}
