import type { Client, ClientRegistry } from './domain/clients.ts';
import { type Clock, seconds } from './domain/clock.ts';
import type { IssuedTokens } from './domain/issuing.ts';
import { answer, type HttpAnswer, RequestError } from './http.ts';
import { inMembers } from './store-requests.ts';

// What the store functions answer to an authorization server.

/** Bytes as they stand in an answer: the handle of a grant, a digest. */
export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/**
 * The client that something is issued to.
 *
 * @throws {RequestError} invalid_client: it is not registered or disabled, and its tokens would not be valid
 */
export async function issuingClient(clients: ClientRegistry, clientId: string): Promise<Client> {
  const client = await clients.find(clientId);
  if (!client?.enabled) throw new RequestError(400, 'invalid_client', 'the client is not registered, or disabled');
  return client;
}

/** Whether the client has no credentials. */
export const isPublic = ({ tokenEndpointAuthMethod }: Client): boolean => tokenEndpointAuthMethod === 'none';

/** The token response of RFC 6749 §5.1, with the grant and the authentication behind it for the authorization server. */
export function tokenAnswer(
  statusCode: number,
  clock: Clock,
  issued: IssuedTokens & { readonly outcome: string },
  further = {},
): HttpAnswer {
  const now = seconds(clock);
  const { outcome, accessToken, tokenType, accessExpiresAt, refreshToken, refreshExpiresAt, authorization } = issued;
  const { scopes, authorizationDetails } = authorization;
  return answer(statusCode, {
    outcome,
    access_token: accessToken,
    token_type: tokenType,
    expires_in: accessExpiresAt - now,
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    ...(refreshExpiresAt !== undefined && { refresh_token_expires_in: refreshExpiresAt - now }),
    ...inMembers({ scopes, ...(authorizationDetails && { authorizationDetails }) }),
    ...further,
    grant_id: base64url(issued.grantId),
    authentication: inMembers(authorization),
  });
}

const WHY = {
  expired: 'it has expired',
  mismatched: 'it was issued to another client, redirect URI, PKCE challenge or key',
  replayed: 'it was used before: every token that it gave is revoked',
  reused: 'it was used before: its grant is revoked with every token',
  revoked: 'its grant is revoked',
  unknown: 'it is not known',
} as const;

/** What the loser learns (RFC 6749 §5.2): the RFC's word, and the store's beside it. */
export const invalidGrant = (outcome: keyof typeof WHY, logged?: Readonly<Record<string, unknown>>): RequestError =>
  new RequestError(400, 'invalid_grant', WHY[outcome], { members: { outcome }, ...(logged && { logged }) });
