import type Provider from 'oidc-provider';
import type { Adapter, AdapterFactory } from 'oidc-provider';
import { seconds } from '../functions/domain/clock.ts';
import { InputError } from '../functions/domain/errors.ts';
import { revocationRetention } from '../functions/domain/issuing.ts';
import { grantIdOfCode } from '../functions/domain/token.ts';
import type { Stores } from '../functions/open-stores.ts';
import { createArtifactModel } from './oidc-provider/artifacts.ts';
import { createCodeModel } from './oidc-provider/codes.ts';
import { install } from './oidc-provider/install.ts';
import type { AdapterParts } from './oidc-provider/parts.ts';
import { createRequests } from './oidc-provider/requests.ts';
import { createAccessTokenModel, createRefreshTokenModel } from './oidc-provider/tokens.ts';

export interface AdapterOptions {
  /** The stores' names; each may be left out where there is only one of its kind. */
  readonly accessTokenStore?: string;
  readonly authorizationCodeStore?: string;
  readonly artifactStore?: string;
  /** The provider's setting of this name, in seconds. Default, there and here: 15. */
  readonly clockTolerance?: number;
}

/** Everything of the provider but codes and tokens. */
const artifactModels = [
  'BackchannelAuthenticationRequest',
  'Client',
  'DeviceCode',
  'Grant',
  'InitialAccessToken',
  'Interaction',
  'PreAuthorizedCode',
  'PushedAuthorizationRequest',
  'RegistrationAccessToken',
  'ReplayDetection',
  'Session',
];

/** What `new Provider(issuer, { adapter })` takes. */
export type OidcProviderAdapter = AdapterFactory & {
  /** Makes the provider mint the stores' own values and refresh in one step; see {@link createAdapter}. */
  install(provider: Provider): void;
};

/**
 * The stores as an adapter for oidc-provider.
 *
 * ```ts
 * const adapter = createAdapter(stores);
 * const provider = new Provider(issuer, { adapter, … });
 * adapter.install(provider);
 * ```
 *
 * Codes go to the authorization code store; access tokens, client credentials and refresh tokens to the access token
 * store, where authorizer, introspection and revocation find them; every other model to the artifact store, sealed. Of any
 * number of concurrent requests with one code (device code, pushed request, …) exactly one passes `consume`; the others
 * are refused, and so are those whose record is gone. A Grant of the provider is the `consentId` of the stores' grants.
 *
 * Installed, the provider's tokens lead to their grant and prove themselves; a token request is written at its end, in one
 * round trip: all its tokens or none. So a refresh is one rotation: of any number of concurrent ones with one token one is
 * carried out, and within the grace window the others get the same tokens (not the same ID Token). A later one ends the
 * grant: what its code and its refresh tokens gave, not what other codes of the same consent gave.
 *
 * Not installed, values are the provider's own, so that the stores must be set to `foreignTokens`; each token is a grant of
 * its own, a refresh is three writes, and a client that has lost the answer must ask its user again.
 */
export function createAdapter(
  stores: Pick<Stores, 'tokens' | 'codes' | 'artifactStore'>,
  { accessTokenStore, authorizationCodeStore, artifactStore, clockTolerance = 15 }: AdapterOptions = {},
): OidcProviderAdapter {
  const tokens = stores.tokens(accessTokenStore);
  const { store, clock, issuing } = tokens;
  const parts: AdapterParts = {
    codes: stores.codes(authorizationCodeStore),
    tokens,
    artifacts: stores.artifactStore(artifactStore),
    requests: createRequests(),
    clockTolerance,
    async revokeConsent(consentId) {
      await store.revokeBy(
        { consentId },
        { nowMs: clock(), retainUntil: revocationRetention(issuing, seconds(clock)) },
      );
    },
    async revokeGrantOfCode(code) {
      const now = seconds(clock);
      await store.revokeGrant(grantIdOfCode(code), { now, retainUntil: revocationRetention(issuing, now) });
    },
  };
  const adapter = (model: string): Adapter => {
    switch (model) {
      case 'AuthorizationCode':
        return createCodeModel(parts);
      case 'AccessToken':
      case 'ClientCredentials':
        return createAccessTokenModel(model, parts);
      case 'RefreshToken':
        return createRefreshTokenModel(parts);
      default:
        if (artifactModels.includes(model)) return createArtifactModel(model, parts);
        // The provider tells its class's name, which a minifier shortens: a code would be kept like a session.
        throw new InputError('model', 'none of oidc-provider', 'the names of its classes; bundle with keepNames');
    }
  };
  return Object.assign(adapter, { install: (provider: Provider) => install(provider, parts) });
}
