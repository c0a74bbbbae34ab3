import { type Client, secretMatches } from './domain/clients.ts';
import type { Parameters } from './form.ts';
import { type HttpEvent, invalidRequest, RequestError } from './http.ts';
import type { Runtime } from './runtime.ts';

/** What a request presents to prove which client sends it. */
type Credentials =
  | {
      readonly method: 'client_secret_basic' | 'client_secret_post';
      readonly clientId: string;
      readonly secret: string;
    }
  | { readonly method: 'private_key_jwt'; readonly clientId: string; readonly assertion: string }
  | { readonly method: 'none'; readonly clientId: string };

/** Whose request it is. */
export type AuthenticateClient = (
  event: HttpEvent,
  parameters: Parameters,
  options?: { readonly publicClients?: boolean },
) => Promise<Client>;

/** Compared with the secret of a client that is not known, or has none, so that the time tells nothing; no secret is its. */
const NOBODY = { secretDigests: [`sha256:${'A'.repeat(43)}`] };

/**
 * Authenticates clients by the one method that they are registered for (RFC 6749 §2.3, RFC 7523 §2.2); public clients,
 * where they are let in, by their client_id.
 *
 * The function that it gives throws a {@link RequestError}: invalid_request for two methods at once, invalid_client for
 * everything else, with the reason in the log alone.
 */
export function createClientAuthentication({
  configuration,
  stores,
  storeNames,
  clients,
  clock,
}: Runtime): AuthenticateClient {
  const { authorizer, issuer, assertionAudiences, artifactStores } = configuration;
  const headers = { 'www-authenticate': `Basic realm="${authorizer.realm}", charset="UTF-8"` };
  const audience = issuer === undefined ? assertionAudiences : [issuer, ...assertionAudiences];
  const areKept = Object.keys(artifactStores).length > 0;

  const refused = (reason: string, client?: Client) =>
    new RequestError(401, 'invalid_client', 'client authentication failed', {
      headers,
      // Only the id of a client that is known: another text may be a secret in the wrong place.
      logged: { reason, ...(client && { client_id: client.clientId }) },
    });

  /** Why these are not the credentials of the client; nothing if they are. */
  async function flawOf(credentials: Credentials, client: Client | undefined): Promise<string | undefined> {
    if ('secret' in credentials && !secretMatches(client?.secretDigests ? client : NOBODY, credentials.secret)) {
      return 'wrong client or secret';
    }
    if (!client) return 'unknown client';
    if (client.tokenEndpointAuthMethod !== credentials.method) return 'another method than the registered one';
    if (!client.enabled) return 'disabled client';
    if (!('assertion' in credentials)) return undefined;
    if (audience.length === 0 || !areKept) return 'client assertions need an issuer and an artifact store';
    const artifacts = stores.artifactStore(storeNames?.artifactStore);
    const { flawOfAssertion } = await import('./client-assertion.ts');
    return flawOfAssertion(credentials.assertion, client, { audience, artifacts, clock });
  }

  return async (event, parameters, { publicClients = false } = {}) => {
    const credentials = credentialsOf(event.headers.authorization, parameters);
    if (!credentials || (credentials.method === 'none' && !publicClients)) throw refused('no credentials');
    const client = await clients.find(credentials.clientId);
    const flaw = await flawOf(credentials, client);
    if (flaw !== undefined || !client) throw refused(flaw ?? 'unknown client', client);
    return client;
  };
}

/** @throws {RequestError} invalid_request: more than one method, or two clients (RFC 6749 §2.3) */
function credentialsOf(authorization: string | undefined, parameters: Parameters): Credentials | undefined {
  const secret = parameters.get('client_secret');
  const assertion = parameters.get('client_assertion');
  if ([authorization, secret, assertion].filter((each) => each !== undefined).length > 1) {
    throw invalidRequest('more than one method of client authentication');
  }
  const clientId = parameters.get('client_id');
  const given = () => {
    if (authorization !== undefined) return basic(authorization);
    if (assertion !== undefined) return signed(assertion, parameters.get('client_assertion_type'));
    return unsigned(clientId, secret);
  };
  const credentials = given();
  if (credentials && clientId !== undefined && clientId !== credentials.clientId) {
    throw invalidRequest('client_id is not the client that authenticates');
  }
  return credentials;
}

function unsigned(clientId: string | undefined, secret: string | undefined): Credentials | undefined {
  if (clientId === undefined) return undefined;
  return secret === undefined ? { method: 'none', clientId } : { method: 'client_secret_post', clientId, secret };
}

/** RFC 7617, and within it the form encoding of RFC 6749 §2.3.1. */
function basic(authorization: string): Credentials | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+=*)$/i.exec(authorization) ?? [];
  if (encoded === undefined) return undefined;
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const decoded = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
  try {
    return { method: 'client_secret_basic', clientId: decoded(id), secret: decoded(secret) };
  } catch {
    return undefined;
  }
}

/** RFC 7521 §4.2. Whom the assertion names is not proved yet. */
function signed(assertion: string, type: string | undefined): Credentials | undefined {
  if (type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') return undefined;
  try {
    const { sub } = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString());
    return typeof sub === 'string' ? { method: 'private_key_jwt', clientId: sub, assertion } : undefined;
  } catch {
    return undefined;
  }
}
