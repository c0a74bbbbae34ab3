import * as v from 'valibot';
import { flag, list, object, oneOf, only, text, variant } from './fields.ts';

// The section `clients`: clients and resource servers, which hold digests and public keys, never a secret.

const publicJwk = object({
  kty: oneOf(['RSA', 'EC', 'OKP'], 'Key type: asymmetric keys only.'),
  kid: v.exactOptional(text('Key id.')),
  use: v.exactOptional(text('Intended use.')),
  key_ops: v.exactOptional(list(text('An operation.'), 'Intended operations.')),
  alg: v.exactOptional(text('Algorithm.')),
  crv: v.exactOptional(text('Curve.')),
  x: v.exactOptional(text('Coordinate x.')),
  y: v.exactOptional(text('Coordinate y.')),
  n: v.exactOptional(text('Modulus.')),
  e: v.exactOptional(text('Exponent.')),
  x5c: v.exactOptional(list(text('A certificate.'), 'Chain of certificates.')),
  x5t: v.exactOptional(text('SHA-1 thumbprint of the certificate.')),
  'x5t#S256': v.exactOptional(text('SHA-256 thumbprint of the certificate.')),
  x5u: v.exactOptional(text('URL of the chain of certificates.')),
});

const registered = {
  enabled: v.optional(flag('Whether the client may do anything; the tokens of a disabled client are not valid.'), true),
  applicationId: v.exactOptional(text('The application that the client’s credentials belong to. Default: none.')),
  redirectUris: v.optional(
    list(
      v.pipe(
        v.string('an absolute URI without a fragment'),
        v.url('an absolute URI without a fragment'),
        v.regex(/^[^#]*$/, 'an absolute URI without a fragment'),
      ),
      'Redirect URIs, compared character by character (RFC 9700 §2.1).',
    ),
    [],
  ),
  grantTypes: v.optional(
    list(
      oneOf(
        [
          'authorization_code',
          'implicit',
          'password',
          'client_credentials',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:jwt-bearer',
          'urn:ietf:params:oauth:grant-type:saml2-bearer',
        ],
        'A grant type.',
      ),
      'The grant types that the client may use.',
    ),
    [],
  ),
  scopes: v.optional(
    list(
      text('A scope.', /^[\x21\x23-\x5B\x5D-\x7E]+$/, 'scopes: printable ASCII but space, " and \\'),
      'The scopes that the client may ask for.',
    ),
    [],
  ),
};

const mayIntrospect = v.optional(
  flag('Whether it is a resource server: it may ask for the state of any token.'),
  false,
);

export const client = variant(
  'tokenEndpointAuthMethod',
  [
    object({
      tokenEndpointAuthMethod: v.optional(
        oneOf(['client_secret_basic', 'client_secret_post'], 'How the client proves who it is.'),
        'client_secret_basic',
      ),
      secretDigests: v.pipe(
        list(
          text(
            'A digest.',
            /^sha256:[A-Za-z0-9_-]{43}$/,
            '"sha256:" and the SHA-256 of a client secret in base64url (43 characters)',
          ),
          'SHA-256 of the client’s secrets, never the secrets; several while one is being replaced.',
        ),
        v.minLength(1, 'at least one digest'),
      ),
      mayIntrospect,
      ...registered,
    }),
    object({
      tokenEndpointAuthMethod: oneOf(['private_key_jwt'], 'The client signs a JWT (RFC 7523).'),
      jwks: v.pipe(
        object({
          keys: v.pipe(list(publicJwk, 'The keys.'), v.minLength(1, 'at least one public key')),
        }),
        v.description('The client’s public keys (RFC 7517).'),
      ),
      mayIntrospect,
      ...registered,
    }),
    object({
      tokenEndpointAuthMethod: oneOf(['none'], 'A public client: it cannot keep a secret, and must use PKCE.'),
      mayIntrospect: v.optional(
        only(false, 'false: a public client cannot prove who it is', 'Not for a public client.'),
        false,
      ),
      ...registered,
    }),
  ],
  'client_secret_basic, client_secret_post, private_key_jwt or none',
);
