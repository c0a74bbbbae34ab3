import { createHash, X509Certificate } from 'node:crypto';
import { algorithmsOf } from './config/authorizer.ts';
import type { ClientRegistry } from './domain/clients.ts';
import { seconds } from './domain/clock.ts';
import { keysOf } from './domain/digest.ts';
import type { ActiveToken } from './domain/inspection.ts';
import type { TokenDeployment } from './domain/issuing.ts';
import type { ArtifactStore } from './domain/ports.ts';
import { type ScopeMatch, scopesSuffice } from './domain/scope.ts';
import { checkProof, type ExpectedProof, type Proof, type ProofFlaw, type Target } from './dpop.ts';
import type { Nonces } from './dpop-nonce.ts';
import type { Inspect } from './lookup-cache.ts';
import type { PresentedToken, Scheme } from './presented-token.ts';
import { isFirstUse } from './single-use.ts';

/** What an API demands of a request. */
export interface Demand {
  /** `undefined`: nothing is known of the route, and nobody may use it. */
  readonly scopes: readonly string[] | undefined;
  readonly match: ScopeMatch;
  readonly realm: string;
}

/** How DPoP proofs are judged, and where it is remembered that they were used. */
export interface ProofPolicy {
  readonly algorithms: ExpectedProof['algorithms'];
  readonly maxAgeSeconds: number;
  readonly baseUrls?: readonly string[];
  readonly nonces?: Nonces;
  readonly artifacts: ArtifactStore;
}

export interface Guard {
  readonly tokens: TokenDeployment;
  readonly inspect: Inspect;
  readonly clients: ClientRegistry;
  /** Without it a token that is bound to a key of DPoP is refused. */
  readonly dpop?: ProofPolicy | undefined;
  /** Whether a token that is bound to anything may be let in: not where the answer outlives the request. */
  readonly bound: boolean;
}

/** A request, as far as it matters to the token that it carries. */
export interface GuardedRequest {
  readonly presented: readonly PresentedToken[];
  /** Certificate of the client's TLS connection, PEM. */
  readonly certificate?: string | undefined;
  /** What the headers DPoP hold. */
  readonly proofs: readonly string[];
  readonly method: string;
  /** Nothing where it is not known, so that no proof can be judged. */
  readonly target: Target | undefined;
}

/** Why a request may not go on: RFC 6750 §3.1, RFC 9449 §7.1. */
export interface Refusal {
  readonly status: 400 | 401 | 403;
  readonly error: 'invalid_request' | 'invalid_token' | 'insufficient_scope' | ProofFlaw['error'];
  readonly description: string;
  /** For WWW-Authenticate (RFC 6750 §3). */
  readonly challenge: string;
  /** For the log. */
  readonly reason: string;
}

export type Access = { readonly granted: true; readonly token: ActiveToken } | ({ readonly granted: false } & Refusal);

/**
 * Whether a request may go on. A token that is bound to a certificate is good only over a connection with that certificate
 * (RFC 8705 §3), one that is bound to a key of DPoP only with a proof of it (RFC 9449 §7.1), one that is bound to both with
 * both; and a proof only with a token that is bound to its key, of any number of requests with it in exactly one.
 *
 * One round trip, and a second for a request with a proof that is good but for being the first use; none for a token or a
 * proof that fails its own check. The use is recorded last, after everything else has been found right: asked for beside
 * the look-up it would save a round trip, and let whoever makes a key write into the store.
 *
 * @throws {StoreError} that is not known; never to be taken for a refusal
 */
export async function authorize(guard: Guard, request: GuardedRequest, demand: Demand): Promise<Access> {
  const [presented, ...others] = request.presented;
  const scheme = presented?.scheme ?? 'Bearer';
  const refuse = (status: Refusal['status'], error: Refusal['error'], description: string, reason: string): Access => {
    const challenge = challengeOf(guard, demand, scheme, { error, error_description: description });
    return { granted: false, status, error, description, challenge, reason };
  };
  const invalid = (reason: string) =>
    refuse(401, 'invalid_token', 'the access token is unknown, expired or revoked', reason);
  const unproved = ({ error, reason }: ProofFlaw) =>
    refuse(401, error, error === 'use_dpop_nonce' ? 'the proof needs the nonce' : 'the DPoP proof is not good', reason);

  if (!presented?.value || others.length > 0) {
    const reason = `${request.presented.length} tokens`;
    return refuse(400, 'invalid_request', 'exactly one access token is needed', reason);
  }
  const { value } = presented;
  const now = seconds(guard.tokens.clock);
  let proof: Proof | undefined;
  if (scheme === 'DPoP') {
    if (keysOf(guard.tokens.recognition, 'access token', value).length === 0) return invalid('unknown');
    const checked = proofOf(guard, request, value, now);
    if ('error' in checked) return unproved(checked);
    proof = checked;
  }
  const token = await guard.inspect(value);
  if (!token.active) return invalid(token.reason);
  const { clientId, scopes, confirmation } = token.authorization;
  if (!(await guard.clients.find(clientId))?.enabled) return invalid('client disabled or unknown');
  if (proof && confirmation?.jkt === undefined) return invalid('a proof, and no key that the token is bound to');
  if (confirmation && !(guard.bound && isHeld(confirmation, request.certificate, proof))) {
    return invalid('bound to a key that is not proved');
  }
  if (!demand.scopes || !scopesSuffice(scopes, demand.scopes, demand.match)) {
    const reason = demand.scopes ? 'scope' : 'no scopes are configured for the route';
    return refuse(403, 'insufficient_scope', 'the access token has not the scopes that are needed', reason);
  }
  if (proof && guard.dpop) {
    const { jkt, jti, expiresAt } = proof;
    const isFirst = await isFirstUse(guard.dpop.artifacts, 'DPoP proof', [jkt, jti], { now, expiresAt });
    if (!isFirst) return unproved({ error: 'invalid_dpop_proof', reason: 'proof: used before' });
  }
  return { granted: true, token };
}

function proofOf(
  { dpop }: Guard,
  { proofs, method, target }: GuardedRequest,
  token: string,
  now: number,
): Proof | ProofFlaw {
  if (!dpop || !target) return { error: 'invalid_dpop_proof', reason: 'proof: not seen' };
  return checkProof(proofs, { ...dpop, method, target, token, now });
}

/** The challenge of the scheme that was used, and after it the one that could have been (RFC 9449 §7.2). */
function challengeOf(
  { dpop }: Guard,
  { realm, scopes }: Demand,
  scheme: Scheme,
  { error, error_description }: Record<'error' | 'error_description', string>,
): string {
  const failure = `${scheme} realm="${realm}", error="${error}", error_description="${error_description}"`;
  const needed = error === 'insufficient_scope' && scopes?.length ? `, scope="${scopes.join(' ')}"` : '';
  if (!dpop) return failure + needed;
  const algorithms = algorithmsOf(dpop);
  return scheme === 'DPoP'
    ? `${failure}${needed}, ${algorithms}`
    : `${failure}${needed}, DPoP realm="${realm}", ${algorithms}`;
}

/** Whether every key that a token is bound to is that of the certificate or of the proof. */
function isHeld(confirmation: object, certificate: string | undefined, proof: Proof | undefined): boolean {
  const held: Record<string, string | undefined> = {
    jkt: proof?.jkt,
    'x5t#S256': certificate && createHash('sha256').update(new X509Certificate(certificate).raw).digest('base64url'),
  };
  const bound = Object.entries(confirmation);
  return bound.length > 0 && bound.every(([method, key]) => held[method] === key && key !== undefined);
}
