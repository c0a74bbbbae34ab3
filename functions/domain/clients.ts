import { createHash, timingSafeEqual } from 'node:crypto';

/** What the deployment knows of a client (RFC 7591 §2) or a resource server. Secrets are there as digests only. */
export interface Client {
  readonly clientId: string;
  /** A disabled client may do nothing, and its tokens are not valid. */
  readonly enabled: boolean;
  readonly tokenEndpointAuthMethod: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt' | 'none';
  /** `sha256:<base64url>`; several while a secret is being replaced. */
  readonly secretDigests?: readonly string[];
  /** Public keys for private_key_jwt (RFC 7517). */
  readonly jwks?: { readonly keys: readonly { readonly kty: string; readonly [member: string]: unknown }[] };
  readonly applicationId?: string;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly string[];
  readonly scopes: readonly string[];
  /** A resource server: it may ask for the state of any token. */
  readonly mayIntrospect: boolean;
}

/** Where clients are looked up; `undefined`: no such client. */
export interface ClientRegistry {
  find(clientId: string): Client | undefined | Promise<Client | undefined>;
}

/** The digest under which a client's secret is registered. */
export const secretDigest = (secret: string): string =>
  `sha256:${createHash('sha256').update(secret).digest('base64url')}`;

/** Whether a secret is one of the client's, compared in constant time. */
export function secretMatches(client: Pick<Client, 'secretDigests'>, secret: string): boolean {
  const presented = Buffer.from(secretDigest(secret));
  let found = false;
  for (const registered of client.secretDigests ?? []) {
    const digest = Buffer.from(registered);
    if (digest.length === presented.length && timingSafeEqual(digest, presented)) found = true;
  }
  return found;
}
