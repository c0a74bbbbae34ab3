import * as v from 'valibot';
import { flag, isObject, list, object, oneOf, text, whole } from './config/fields.ts';
import type { Attributes, Authorization } from './domain/records.ts';
import { parseScopes } from './domain/scope.ts';

// What the store functions are asked: members in the RFCs' words on the outside, the domain's fields inside.

/** Each member, and the field of the domain that it is. */
const FIELDS = {
  access_tokens_only: 'accessTokensOnly',
  acr: 'acr',
  after: 'after',
  amr: 'amr',
  application_id: 'applicationId',
  attempt: 'attempt',
  attributes: 'attributes',
  auth_time: 'authenticatedAt',
  authorization_details: 'authorizationDetails',
  choice: 'choice',
  client_id: 'clientId',
  cnf: 'confirmation',
  code: 'code',
  code_challenge: 'codeChallenge',
  code_challenge_method: 'codeChallengeMethod',
  code_verifier: 'codeVerifier',
  consent_id: 'consentId',
  digest: 'digest',
  dpop_jkt: 'dpopJkt',
  grant_id: 'grantId',
  grant_type: 'grantType',
  id_token: 'idToken',
  limit: 'limit',
  minted: 'minted',
  nonce: 'nonce',
  parameters: 'parameters',
  redirect_uri: 'redirectUri',
  refresh_token: 'refreshToken',
  resource: 'resources',
  scope: 'scopes',
  sid: 'sessionId',
  state: 'state',
  subject: 'subject',
  token: 'token',
  token_type_hint: 'hint',
} as const;

type Fields = typeof FIELDS;
type Given = Readonly<Record<string, unknown>>;
type InFields<Members> = { [M in keyof Members as M extends keyof Fields ? Fields[M] : never]: Members[M] };

/** An object of these members and no others, and as `fits` says; read into the fields of the domain. */
const members = <const Entries extends v.ObjectEntries>(
  entries: Entries & Record<Exclude<keyof Entries, keyof Fields>, never>,
  fits: (given: Given) => boolean = () => true,
  accepted = '',
) =>
  v.pipe(
    object<v.ObjectEntries>(entries),
    v.check(fits, accepted),
    v.transform(
      (given) =>
        Object.fromEntries(
          Object.entries(given).map(([member, value]) => [FIELDS[member as keyof Fields], value]),
        ) as InFields<v.InferOutput<v.ObjectSchema<Entries, undefined>>>,
    ),
  );

/** The other way round: an authorization, or fields of one, in the RFCs' words. */
export function inMembers({ scopes, ...fields }: Partial<Authorization>): object {
  const members: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) {
    const member = MEMBERS.get(field);
    if (member !== undefined && value !== undefined) members[member] = value;
  }
  if (scopes?.length) members.scope = scopes.join(' ');
  return members;
}
const MEMBERS: ReadonlyMap<string, string> = new Map(Object.entries(FIELDS).map(([member, field]) => [field, member]));

const optional = <const Schema extends v.GenericSchema>(schema: Schema) => v.exactOptional(schema);

/** What a record is found by stands in columns and keys: as long as every engine takes it. */
const identifier = (description: string) =>
  text(description, /^[\x20-\x7e]{1,255}$/, '1 to 255 characters of printable ASCII');
const subject = text('Subject.', /^[^\p{Cc}\p{Cs}]{1,255}$/u, '1 to 255 characters, none of them a control character');
const scope = v.pipe(
  text(
    'Scopes.',
    /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
    'scopes of printable ASCII, a space between two',
  ),
  v.transform(parseScopes),
);
const resource = list(
  text('RFC 8707.', /^[A-Za-z][A-Za-z0-9+.-]*:[\x21\x22\x24-\x7e]+$/, 'absolute URIs without a fragment'),
  'Resources.',
);
const authorizationDetails = v.array(
  v.custom<NonNullable<Authorization['authorizationDetails']>[number]>(
    (detail) => isObject(detail) && typeof detail.type === 'string',
    'objects with a type',
  ),
  'a list; in it, objects with a type',
);
const thumbprint = text('A thumbprint.', /^[A-Za-z0-9_-]{43}$/, '43 characters of base64url');
const confirmation = v.pipe(
  object({ jkt: optional(thumbprint), 'x5t#S256': optional(thumbprint) }),
  v.check((given) => Object.keys(given).length > 0, 'jkt, x5t#S256 or both'),
);
const attributes = v.custom<Attributes>(isObject, 'an object');
const parameters = v.custom<NonNullable<Authorization['parameters']>>(
  (value) =>
    isObject(value) &&
    Object.values(value)
      .flat()
      .every((each) => typeof each === 'string'),
  'an object of texts and lists of texts',
);
const attempt = v.pipe(
  text('An attempt.', /^[A-Za-z0-9_-]{22}$/, '16 bytes in base64url (22 characters)'),
  v.transform((given): Uint8Array => Buffer.from(given, 'base64url')),
);
const value = text('A value.', /^[\s\S]{1,8192}$/, 'text of 1 to 8192 characters');
const period = whole(1, 315_360_000, 'Seconds.');
const grantId = v.pipe(
  text('A grant.', /^[A-Za-z0-9_-]{16}$/, 'the 16 characters of a grant_id'),
  v.transform((given): Uint8Array => Buffer.from(given, 'base64url')),
);
const digest = v.pipe(
  text('A digest.', /^[A-Za-z0-9_-]{22,43}$/, 'a digest in base64url'),
  v.transform((given): Uint8Array => Buffer.from(given, 'base64url')),
);

const owners = {
  subject: optional(subject),
  application_id: optional(identifier('Application.')),
  consent_id: optional(identifier('Consent.')),
};

const authorization = {
  client_id: identifier('Client.'),
  ...owners,
  scope: optional(scope),
  resource: optional(resource),
  authorization_details: optional(authorizationDetails),
  cnf: optional(confirmation),
  auth_time: optional(whole(0, Number.MAX_SAFE_INTEGER, 'Epoch seconds.')),
  acr: optional(text('RFC 9068 §2.2.1.')),
  amr: optional(list(text('RFC 8176.'), 'Methods.')),
  nonce: optional(text('OpenID Connect Core §2.')),
  sid: optional(text('OpenID Connect session.')),
  parameters: optional(parameters),
  attributes: optional(attributes),
};

export const codeRequest = members({
  ...authorization,
  redirect_uri: optional(value),
  state: optional(value),
  code_challenge: optional(value),
  code_challenge_method: optional(oneOf(['S256', 'plain'], 'RFC 7636 §4.3.')),
  dpop_jkt: optional(thumbprint),
});

export const exchangeRequest = members({
  code: value,
  client_id: identifier('Client.'),
  redirect_uri: optional(value),
  code_verifier: optional(value),
  refresh_token: v.optional(flag('Whether a refresh token is issued too.'), false),
  cnf: optional(confirmation),
  attributes: optional(attributes),
  attempt: optional(attempt),
});

const mintedValue = text('A token.', /^[\x21-\x7e]{1,8192}$/, '1 to 8192 characters of printable ASCII');

export const tokensRequest = members({
  ...authorization,
  grant_type: oneOf(
    [
      'implicit',
      'password',
      'client_credentials',
      'authorization_code',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:saml2-bearer',
    ],
    'How the client was granted what.',
  ),
  refresh_token: v.optional(flag('Whether a refresh token is issued too.'), false),
  id_token: optional(text('Kept with the access token, sealed under its value.')),
  minted: optional(
    object({
      access_token: optional(mintedValue),
      expires_in: optional(period),
      refresh_token: optional(mintedValue),
      refresh_token_expires_in: optional(period),
    }),
  ),
});

export const refreshRequest = members({
  refresh_token: value,
  client_id: identifier('Client.'),
  scope: optional(scope),
  resource: optional(resource),
  authorization_details: optional(authorizationDetails),
  cnf: optional(confirmation),
  attributes: optional(attributes),
  choice: optional(oneOf(['new', 'none', 'preserve'], 'What becomes of the refresh token.')),
  attempt: optional(attempt),
});

export const codeReference = members({ code: value });

export const tokenReference = members({
  token: value,
  token_type_hint: optional(oneOf(['access_token', 'refresh_token'], 'RFC 7009 §2.1.')),
});

export const accessTokenReference = members({ grant_id: grantId, digest });

const selector = { client_id: optional(identifier('Client.')), ...owners };
const selects = (given: Given) => Object.keys(given).some((member) => member in selector);
const SELECTOR = 'one or more of subject, client_id, application_id, consent_id';

export const revocationRequest = members(
  {
    grant_id: optional(grantId),
    access_tokens_only: optional(flag('Whether the refresh token goes on.')),
    ...selector,
  },
  (given) => ('grant_id' in given ? !selects(given) : selects(given) && !('access_tokens_only' in given)),
  `${SELECTOR}, or grant_id, alone or with access_tokens_only`,
);

const page = {
  limit: v.optional(
    v.pipe(
      v.string('a whole number from 1 to 1000'),
      v.regex(/^([1-9]\d{0,2}|1000)$/, 'a whole number from 1 to 1000'),
      v.transform(Number),
    ),
    '100',
  ),
  after: optional(text('Where the page before it ended.', /^[\w.-]{1,512}$/, '`next` of the page before')),
};

export const grantsQuery = members({ ...selector, ...page }, selects, SELECTOR);

export const accessTokensQuery = members({ grant_id: grantId, ...page });
