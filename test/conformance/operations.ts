import type { Engine } from '../../functions/domain/ports.ts';
import {
  DAY,
  type Issued,
  newAccess,
  newArtifact,
  newAttempt,
  newClientToken,
  newCode,
  newDigest,
  newGrant,
  newName,
  newRefresh,
  newSuccessor,
  rotate,
} from './records.ts';

/** One call of every operation, with what it needs; each touches what the ones before it left. */
export function everyOperation(now: number, { grant, refreshKey, accessKey }: Issued) {
  const code = newCode(now);
  const coming = newGrant(now);
  const artifact = newArtifact(now, { uid: newDigest(), userCode: newDigest(), consentId: newName('consent') });
  const { kind, id, uid = id, userCode = id, consentId = '' } = artifact;
  const token = newClientToken(now);
  const retainUntil = now + DAY;
  const write = () => ({ now, attempt: newAttempt(), retainUntil });
  const purge = { now: 0, limit: 1 };
  const calls: [name: string, call: (engine: Engine) => Promise<unknown>][] = [
    ['authorizationCodes.add', ({ authorizationCodes }) => authorizationCodes.add(code, write())],
    ['authorizationCodes.find', ({ authorizationCodes }) => authorizationCodes.find(code.digest, { now })],
    [
      'authorizationCodes.redeem',
      ({ authorizationCodes }) => authorizationCodes.redeem(code.digest, { binding: code.binding, ...write() }),
    ],
    ['authorizationCodes.remove', ({ authorizationCodes }) => authorizationCodes.remove(code.digest)],
    ['authorizationCodes.purgeExpired', ({ authorizationCodes }) => authorizationCodes.purgeExpired(purge)],
    [
      'accessTokens.persist',
      ({ accessTokens }) =>
        accessTokens.persist({ grant: coming, refresh: newRefresh(now), access: newAccess(now) }, write()),
    ],
    ['accessTokens.addAccess', ({ accessTokens }) => accessTokens.addAccess(grant.grantId, newAccess(now), write())],
    [
      'accessTokens.addRefresh',
      ({ accessTokens }) => accessTokens.addRefresh(newGrant(now).grantId, newRefresh(now), write()),
    ],
    ['accessTokens.findAccess', ({ accessTokens }) => accessTokens.findAccess(accessKey, { now })],
    ['accessTokens.findRefresh', ({ accessTokens }) => accessTokens.findRefresh(refreshKey, { now })],
    ['accessTokens.rotate', ({ accessTokens }) => rotate(accessTokens, grant, refreshKey, newSuccessor(now), { now })],
    ['accessTokens.revokeAccess', ({ accessTokens }) => accessTokens.revokeAccess(accessKey, { now })],
    ['accessTokens.revokeRefresh', ({ accessTokens }) => accessTokens.revokeRefresh(refreshKey, { now })],
    ['accessTokens.revokeGrant', ({ accessTokens }) => accessTokens.revokeGrant(grant.grantId, { now, retainUntil })],
    [
      'accessTokens.revokeAccessOfGrant',
      ({ accessTokens }) => accessTokens.revokeAccessOfGrant(grant.grantId, { now }),
    ],
    [
      'accessTokens.revokeBy',
      ({ accessTokens }) => accessTokens.revokeBy({ clientId: grant.clientId }, { nowMs: now * 1000, retainUntil }),
    ],
    [
      'accessTokens.listGrants',
      ({ accessTokens }) => accessTokens.listGrants({ clientId: grant.clientId }, { limit: 10 }),
    ],
    ['accessTokens.listAccess', ({ accessTokens }) => accessTokens.listAccess(grant.grantId, { limit: 10 })],
    ['accessTokens.purgeExpired', ({ accessTokens }) => accessTokens.purgeExpired(purge)],
    ['artifacts.put', ({ artifacts }) => artifacts.put(artifact, { now })],
    ['artifacts.putOnce', ({ artifacts }) => artifacts.putOnce(newArtifact(now), write())],
    ['artifacts.find', ({ artifacts }) => artifacts.find(kind, id, { now })],
    ['artifacts.findByUid', ({ artifacts }) => artifacts.findByUid(kind, uid, { now })],
    ['artifacts.findByUserCode', ({ artifacts }) => artifacts.findByUserCode(kind, userCode, { now })],
    ['artifacts.consume', ({ artifacts }) => artifacts.consume(kind, id, write())],
    ['artifacts.remove', ({ artifacts }) => artifacts.remove(kind, id)],
    ['artifacts.removeByConsent', ({ artifacts }) => artifacts.removeByConsent(consentId)],
    ['artifacts.purgeExpired', ({ artifacts }) => artifacts.purgeExpired(purge)],
    ['clientAccessTokens.put', ({ clientAccessTokens }) => clientAccessTokens.put(token)],
    ['clientAccessTokens.get', ({ clientAccessTokens }) => clientAccessTokens.get(token.clientId, token.key, { now })],
    ['clientAccessTokens.remove', ({ clientAccessTokens }) => clientAccessTokens.remove(token.clientId, token.key)],
    ['clientAccessTokens.purgeExpired', ({ clientAccessTokens }) => clientAccessTokens.purgeExpired(purge)],
  ];
  return calls;
}
