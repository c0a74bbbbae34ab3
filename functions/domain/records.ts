import type { Keyring } from './keyring.ts';
import { openUnderKeyring, sealUnderKeyring } from './seal.ts';
import type { GrantId } from './token.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [field: string]: Json };
export type Attributes = { readonly [name: string]: Json };

/** The key that a token is bound to: RFC 9449 §6 (`jkt`), RFC 8705 §3.1 (`x5t#S256`); base64url of 32 bytes. */
export interface Confirmation {
  readonly jkt?: string;
  readonly 'x5t#S256'?: string;
}

/** Who was granted what, and how: the authentication behind a code and behind every token that comes of it. */
export interface Authorization {
  readonly clientId: string;
  /** The resource owner; none when the client acts for itself. */
  readonly subject?: string;
  /** The application that the client's credentials belong to. */
  readonly applicationId?: string;
  /** The resource owner's decision that this rests on; see {@link StoredGrant}. */
  readonly consentId?: string;
  /** `grant_type` of the request, or `implicit`. */
  readonly grantType: string;
  readonly scopes: readonly string[];
  /** RFC 8707. */
  readonly resources?: readonly string[];
  /** RFC 9396. */
  readonly authorizationDetails?: readonly { readonly type: string; readonly [field: string]: Json }[];
  readonly confirmation?: Confirmation;
  /** Epoch seconds of the resource owner's authentication, and how it was done (OpenID Connect Core §2). */
  readonly authenticatedAt?: number;
  readonly acr?: string;
  readonly amr?: readonly string[];
  readonly nonce?: string;
  readonly sessionId?: string;
  /** The authorization request's parameters; those that are secrets are left out before they are stored. */
  readonly parameters?: { readonly [name: string]: string | readonly string[] };
  /** Additional information. */
  readonly attributes?: Attributes;
}

/** Parameters that are never stored: a client's secret, a user's password, and whatever stands for them. */
const SECRET_PARAMETERS = new Set([
  'access_token',
  'actor_token',
  'assertion',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'device_code',
  'id_token_hint',
  'login_hint_token',
  'password',
  'refresh_token',
  'request',
  'subject_token',
  'token',
  'user_code',
]);

/** The same authorization without secrets among its parameters. */
export function withoutSecrets(authorization: Authorization): Authorization {
  const { parameters } = authorization;
  if (!parameters) return authorization;
  const kept = Object.entries(parameters).filter(([name]) => !SECRET_PARAMETERS.has(name.toLowerCase()));
  return { ...authorization, parameters: Object.fromEntries(kept) };
}

const SEALED = 0x01;

/** How the part of a record that stores do not look into is written: UTF-8 JSON, or that sealed under the keyring. */
export interface Codec {
  encode(owner: GrantId, value: object): Buffer;
  /** @throws {Error} when it was sealed for another owner or its key has left the ring */
  decode<T>(owner: GrantId, data: Uint8Array): T;
}

/** With `seal`, records are written sealed; both kinds are read, so that the setting can be changed while tokens live. */
export const createCodec = (keyring: Keyring, seal: boolean): Codec => ({
  encode(owner, value) {
    const plain = Buffer.from(JSON.stringify(value));
    return seal ? Buffer.concat([Buffer.of(SEALED), sealUnderKeyring(keyring, owner, plain)]) : plain;
  },
  decode(owner, data) {
    const plain = data[0] === SEALED ? openUnderKeyring(keyring, owner, data.subarray(1)) : Buffer.from(data);
    return JSON.parse(plain.toString());
  },
});
