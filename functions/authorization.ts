import { createHash, X509Certificate } from 'node:crypto';
import type { ClientRegistry } from './domain/clients.ts';
import { type ActiveToken, inspectAccessToken } from './domain/inspection.ts';
import type { TokenDeployment } from './domain/issuing.ts';
import { type ScopeMatch, scopesSuffice } from './domain/scope.ts';

/** What an API demands of a request. */
export interface Demand {
  /** `undefined`: nothing is known of the route, and nobody may use it. */
  readonly scopes: readonly string[] | undefined;
  readonly match: ScopeMatch;
  readonly realm: string;
}

/** Why a request may not go on: RFC 6750 §3.1. */
export interface Refusal {
  readonly status: 400 | 401 | 403;
  readonly error: 'invalid_request' | 'invalid_token' | 'insufficient_scope';
  readonly description: string;
  /** For WWW-Authenticate (RFC 6750 §3). */
  readonly challenge: string;
  /** For the log. */
  readonly reason: string;
}

export type Access = { readonly granted: true; readonly token: ActiveToken } | ({ readonly granted: false } & Refusal);

/**
 * Whether a request with these tokens may go on: one round trip, none if its token fails its own check. A token that is
 * bound to a certificate is good only over a connection with that certificate (RFC 8705 §3); one that is bound to another
 * key is refused here, where no proof of it is seen.
 *
 * @param certificate of the client's TLS connection, PEM
 * @throws {StoreError} that is not known; never to be taken for a refusal
 */
export async function authorize(
  { tokens, clients }: { tokens: TokenDeployment; clients: ClientRegistry },
  presented: readonly string[],
  demand: Demand,
  certificate?: string,
): Promise<Access> {
  const [value] = presented;
  if (!value || presented.length > 1) {
    return refused(demand, 400, 'invalid_request', 'exactly one access token is needed', `${presented.length} tokens`);
  }
  const invalid = (reason: string) =>
    refused(demand, 401, 'invalid_token', 'the access token is unknown, expired or revoked', reason);
  const token = await inspectAccessToken(tokens, value);
  if (!token.active) return invalid(token.reason);
  const { clientId, scopes, confirmation } = token.authorization;
  if (!(await clients.find(clientId))?.enabled) return invalid('client disabled or unknown');
  if (confirmation && !isHeld(confirmation, certificate)) return invalid('bound to a key that is not proved');
  if (!demand.scopes || !scopesSuffice(scopes, demand.scopes, demand.match)) {
    const reason = demand.scopes ? 'scope' : 'no scopes are configured for the route';
    return refused(demand, 403, 'insufficient_scope', 'the access token has not the scopes that are needed', reason);
  }
  return { granted: true, token };
}

function refused(
  { realm, scopes }: Demand,
  status: Refusal['status'],
  error: Refusal['error'],
  description: string,
  reason: string,
): Access {
  const needed = status === 403 && scopes?.length ? `, scope="${scopes.join(' ')}"` : '';
  const challenge = `Bearer realm="${realm}", error="${error}", error_description="${description}"${needed}`;
  return { granted: false, status, error, description, challenge, reason };
}

/** Whether every key that a token is bound to is that of the certificate. */
function isHeld(confirmation: object, certificate: string | undefined): boolean {
  const bound = Object.entries(confirmation);
  if (certificate === undefined || bound.length === 0) return false;
  const thumbprint = createHash('sha256').update(new X509Certificate(certificate).raw).digest('base64url');
  return bound.every(([method, key]) => method === 'x5t#S256' && key === thumbprint);
}
