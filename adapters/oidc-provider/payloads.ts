import type { AccessRecord } from '../../functions/domain/issuing.ts';
import type { Attributes, Authorization, Json } from '../../functions/domain/records.ts';

/** What the provider stores of a model: JSON. */
export type Payload = { readonly [field: string]: Json | undefined };

/** The name under which the provider's own fields stand among the attributes; beside it, additional information. */
const OWN = 'oidc-provider';

/** Of the models that do not say. */
const GRANT_TYPES: Partial<Record<string, string>> = {
  AuthorizationCode: 'authorization_code',
  ClientCredentials: 'client_credentials',
};

type Details = NonNullable<Authorization['authorizationDetails']>;

const text = (value: Json | undefined) => (typeof value === 'string' ? value : undefined);
const list = (value: Json | undefined) =>
  (value === undefined ? [] : Array.isArray(value) ? value : [value]) as readonly string[];

/** A token's or a code's payload in the project's words; its own value (`jti`), its times and its state stay out. */
export function authorizationFrom(payload: Payload): Authorization {
  const { jti, kind, iat, exp, consumed, clientId, accountId, grantId, scope, ...granted } = payload;
  const { resource, aud, rar, jkt, 'x5t#S256': x5t, authTime, acr, amr, nonce, sid, extra, ...own } = granted;
  const resources = list(resource ?? aud);
  const grantType = GRANT_TYPES[String(kind)] ?? text(own.gty)?.split(' ')[0] ?? 'unknown';
  return defined<Authorization>({
    clientId: String(clientId),
    subject: text(accountId),
    consentId: text(grantId),
    grantType,
    scopes: (text(scope) ?? '').split(' ').filter(Boolean),
    resources: resources.length ? resources : undefined,
    authorizationDetails: rar as Details | undefined,
    confirmation: jkt || x5t ? defined({ jkt: text(jkt), 'x5t#S256': text(x5t) }) : undefined,
    authenticatedAt: authTime as number | undefined,
    acr: text(acr),
    amr: amr as readonly string[] | undefined,
    nonce: text(nonce),
    sessionId: text(sid),
    attributes: { ...(extra as Attributes | undefined), [OWN]: defined<Attributes>(own) },
  });
}

/** The reverse; the model picks the fields that are its own. */
export function payloadFrom(authorization: Authorization): Payload {
  const { clientId, subject, consentId, scopes, resources = [], authorizationDetails } = authorization;
  const { [OWN]: own, ...extra } = authorization.attributes ?? {};
  return defined<Payload>({
    ...(own as Payload | undefined),
    ...authorization.confirmation,
    clientId,
    accountId: subject,
    grantId: consentId,
    scope: scopes.join(' ') || undefined,
    aud: resources[0],
    resource: resources.length > 1 ? resources : resources[0],
    rar: authorizationDetails?.length ? authorizationDetails : undefined,
    authTime: authorization.authenticatedAt,
    acr: authorization.acr,
    amr: authorization.amr,
    nonce: authorization.nonce,
    sid: authorization.sessionId,
    extra: Object.keys(extra).length ? extra : undefined,
  });
}

/** What of an access token differs from its grant; "nothing" is said too where the grant has something. */
export function accessRecord(token: Authorization, granted: Authorization): AccessRecord {
  const none = { scopes: [], resources: [], authorizationDetails: [], confirmation: {}, attributes: {} };
  const fields = Object.keys(none) as (keyof typeof none)[];
  const differing = fields.filter((field) => JSON.stringify(token[field]) !== JSON.stringify(granted[field]));
  return {
    ...Object.fromEntries(differing.map((field) => [field, token[field] ?? none[field]])),
    ...(token.confirmation?.jkt && { type: 'DPoP' }),
  };
}

/** Without the fields that are undefined. */
const defined = <T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
