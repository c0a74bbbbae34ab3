import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { seconds } from '../../functions/domain/clock.ts';
import { mint, newGrantId } from '../../functions/domain/token.ts';
import type { AdapterParts } from './parts.ts';
import { refuse, storeNew, storeRefreshed, type TokenAnswer } from './settling.ts';

/** A model as the provider makes it; its types leave out how it comes by its value. */
interface ValuedModel {
  readonly prototype: { generateTokenId(): string };
}

/** Puts the stores' own values in place of the provider's, and the writes of a token request at its end. */
export function install(provider: Provider, { codes, tokens, requests }: AdapterParts): void {
  const { clock } = tokens;

  /** The first token of each kind in a token request belongs to its grant; any other, to a grant of its own. */
  function grantIdFor(slot: 'access' | 'refresh') {
    const request = requests.currentTokenRequest();
    if (!request || request[slot]) return newGrantId(seconds(clock));
    request.grantId ??= newGrantId(seconds(clock));
    return request.grantId;
  }

  const replace = (model: unknown, value: () => string) => {
    const { prototype } = model as ValuedModel;
    const { generateTokenId } = prototype;
    prototype.generateTokenId = function () {
      generateTokenId.call(this); // it also settles the token's format
      return value();
    };
  };
  const { issuing } = tokens;
  const accessToken = () =>
    mint(tokens.recognition.keyring, 'access token', issuing.accessToken.length, grantIdFor('access'));
  replace(provider.AccessToken, accessToken);
  replace(provider.ClientCredentials, accessToken);
  replace(provider.RefreshToken, () =>
    mint(tokens.recognition.keyring, 'refresh token', issuing.refreshToken.length, grantIdFor('refresh')),
  );
  replace(provider.AuthorizationCode, () =>
    mint(codes.recognition.keyring, 'authorization code', codes.issuing.authorizationCode.length),
  );

  provider.use(async (ctx, next) => {
    const request = requests.open(ctx, clock());
    await next();
    // A handler that failed has made tokens for nobody; the presented one has not been used.
    if (ctx.status >= 400) return;
    try {
      if (request.presented)
        ctx.body = await storeRefreshed(tokens, request.presented, request, ctx.body as TokenAnswer);
      else await storeNew(tokens, request);
    } catch (error) {
      refuse(provider, ctx as unknown as KoaContextWithOIDC, error);
    }
  });
}
