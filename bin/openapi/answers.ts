import * as v from 'valibot';
import { tokensRequest } from '../../functions/store-requests.ts';

// What the functions answer, for the OpenAPI document; test/openapi holds it against what they do answer.

const optional = <const Schema extends v.GenericSchema>(schema: Schema) => v.exactOptional(schema);
const described = (description: string) => v.pipe(v.string(), v.description(description));
const count = (description: string) => v.pipe(v.number(), v.integer(), v.minValue(0), v.description(description));
const at = count('Epoch seconds.');

const grantId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16}$/), v.description('The handle of a grant.'));
const digest = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{22,43}$/), v.description('Names an access token.'));

// What a code or token stands for is what it was issued for.
const { refresh_token: _, id_token: __, minted: ___, grant_type: ____, ...granted } = tokensRequest.pipe[0].entries;
const authentication = { ...granted, grant_type: described('How the client was granted what.') };
export const authenticationAnswer = v.strictObject(authentication);

export const codeAnswer = v.strictObject({
  outcome: v.literal('issued'),
  code: described('The authorization code.'),
  expires_in: count('Seconds.'),
});

const tokens = <const Outcomes extends readonly string[]>(...outcomes: Outcomes) => ({
  outcome: v.picklist(outcomes),
  access_token: v.string(),
  token_type: v.string(),
  expires_in: count('Seconds.'),
  refresh_token: optional(v.string()),
  refresh_token_expires_in: optional(count('Seconds.')),
  scope: optional(v.string()),
  authorization_details: optional(granted.authorization_details as v.GenericSchema),
  grant_id: grantId,
  authentication: authenticationAnswer,
});

export const issuedAnswer = v.strictObject(tokens('issued'));
export const exchangedAnswer = v.strictObject({ ...tokens('exchanged'), state: optional(v.string()) });
export const refreshedAnswer = v.strictObject(tokens('rotated', 'retried'));

const unknownCode = v.strictObject({ outcome: v.literal('unknown') });
const storedCode = {
  expires_at: at,
  redirect_uri: optional(v.string()),
  state: optional(v.string()),
  grant_id: grantId,
  authentication: authenticationAnswer,
};
export const storedCodeAnswer = v.union([
  v.strictObject({ outcome: v.picklist(['active', 'expired']), ...storedCode }),
  v.strictObject({ outcome: v.literal('redeemed'), redeemed_at: at, ...storedCode }),
  unknownCode,
]);

export const storedTokenAnswer = v.union([
  v.strictObject({
    active: v.literal(true),
    outcome: v.literal('active'),
    kind: v.picklist(['access_token', 'refresh_token']),
    token_type: optional(v.string()),
    iat: optional(at),
    exp: at,
    id_token: optional(v.string()),
    grant_id: grantId,
    authentication: authenticationAnswer,
  }),
  v.strictObject({
    active: v.literal(false),
    outcome: v.picklist(['unknown', 'expired', 'revoked', 'retired']),
  }),
]);

export const removedAnswer = v.strictObject({ outcome: v.picklist(['removed', 'unknown']) });
export const revokedAnswer = v.strictObject({ outcome: v.picklist(['revoked', 'unknown']) });
export const grantsRevokedAnswer = v.strictObject({
  outcome: v.literal('revoked'),
  grants: optional(count('How many grants ended; not told where one was named.')),
});

const next = optional(described('Where this page ended: `after` of the next one. Absent on the last.'));
export const grantsAnswer = v.strictObject({
  grants: v.array(
    v.strictObject({
      grant_id: grantId,
      created_at: at,
      expires_at: optional(at),
      revoked_at: optional(at),
      refresh_token: optional(v.strictObject({ expires_at: at, idle_expires_at: optional(at) })),
      ...authentication,
    }),
  ),
  next,
});
export const accessTokensAnswer = v.strictObject({
  access_tokens: v.array(v.strictObject({ digest, issued_at: at, expires_at: at, revoked_at: optional(at) })),
  next,
});

const { authorization_details, cnf, auth_time, acr, amr, sid } = granted as Record<string, v.GenericSchema>;
export const introspectionAnswer = v.union([
  v.strictObject({
    active: v.literal(true),
    scope: optional(v.string()),
    client_id: v.string(),
    token_type: optional(v.string()),
    exp: at,
    iat: optional(at),
    sub: optional(v.string()),
    aud: optional(v.union([v.string(), v.array(v.string())])),
    iss: optional(v.string()),
    jti: described('Names the token in logs, and is good for nothing else.'),
    cnf,
    authorization_details,
    auth_time,
    acr,
    amr,
    sid,
  } as v.ObjectEntries),
  v.strictObject({ active: v.literal(false) }),
]);

export const nothingAnswer = v.strictObject({});

/** With the attributes that `tokenInformation.attributes` names. */
export const informationAnswer = v.looseObject({
  audience: described('The client.'),
  user_id: optional(described('The resource owner.')),
  scope: v.string(),
  expires_in: count('Seconds.'),
});
