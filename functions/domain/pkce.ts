import { createHash } from 'node:crypto';
import { InputError } from './errors.ts';

// RFC 7636 §4.1, §4.2: 43 to 128 unreserved characters.
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

const s256 = (verifier: string) => createHash('sha256').update(verifier).digest('base64url');

export type ChallengeMethod = 'S256' | 'plain';

/**
 * A challenge in the one form in which codes are bound to it: that of S256, also where the client asked for `plain`. So
 * the redeemer's verifier is transformed before anything is read, and always in the same way.
 *
 * @throws {InputError} a challenge of the wrong form, or `plain` where it is not allowed (RFC 9700 §2.1.1)
 */
export function boundChallenge(challenge: string, method: ChallengeMethod, plainAllowed: boolean): string {
  if (!VERIFIER.test(challenge))
    throw new InputError('code_challenge', `${challenge.length} characters`, '43 to 128 of A-Z a-z 0-9 - . _ ~');
  if (method === 'S256') return challenge;
  if (!plainAllowed) throw new InputError('code_challenge_method', 'plain', 'S256');
  return s256(challenge);
}

/** What a verifier must equal (RFC 7636 §4.6); a malformed one equals nothing. */
export const transformed = (verifier: string): string => (VERIFIER.test(verifier) ? s256(verifier) : 'malformed');
