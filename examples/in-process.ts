// The life of a grant in an authorization server's own process, on the embedded cache. Run it with Node.js 24:
// node in-process.ts
import { createHash, randomBytes } from 'node:crypto';
import {
  createCode,
  createKeyring,
  exchangeCode,
  inspectAccessToken,
  openStores,
  parseConfiguration,
  refreshTokens,
  revokeToken,
} from 'oauth2-stores';

const { configuration } = parseConfiguration({
  accessTokenStores: { tokens: { cache: 'embedded' } },
  authorizationCodeStores: { codes: { cache: 'embedded' } },
  caches: { embedded: { engine: 'memory' } },
});
// In earnest the keys come from a secret, and stay the same: { generation, secret } for each that is still accepted.
const keyring = createKeyring([{ generation: 1, secret: randomBytes(32) }]);
const stores = await openStores(configuration, { keyring });
const codes = stores.codes('codes');
const tokens = stores.tokens('tokens');

// The authorization endpoint: alice has logged in and consented.
const codeVerifier = randomBytes(32).toString('base64url');
const redirectUri = 'https://shop.example/callback';
const { code } = await createCode(codes, {
  authorization: { clientId: 'shop', subject: 'alice', grantType: 'authorization_code', scopes: ['orders:read'] },
  redirectUri,
  codeChallenge: createHash('sha256').update(codeVerifier).digest('base64url'),
  codeChallengeMethod: 'S256',
});

// The token endpoint: the client has authenticated, or is public and has PKCE alone.
const request = { code, clientId: 'shop', redirectUri, codeVerifier, refreshToken: true };
const exchanged = await exchangeCode(codes, tokens, request);
if (exchanged.outcome !== 'exchanged') throw new Error(exchanged.outcome);
console.log('scopes:', exchanged.authorization.scopes.join(' '));

// A refresh, and its repetition by a client that lost the answer: the same tokens.
const refresh = { refreshToken: exchanged.refreshToken ?? '', clientId: 'shop' };
const [first, again] = [await refreshTokens(tokens, refresh), await refreshTokens(tokens, refresh)];
if (first.outcome !== 'rotated' || again.outcome !== 'retried') throw new Error(`${first.outcome}, ${again.outcome}`);
console.log('the same tokens again:', first.accessToken === again.accessToken);

// A resource server asks; the client logs out; it asks once more.
const before = await inspectAccessToken(tokens, first.accessToken);
await revokeToken(tokens, first.refreshToken ?? '', { clientId: 'shop' });
const after = await inspectAccessToken(tokens, first.accessToken);
console.log('active:', before.active, 'then', after.active);

await stores.close();
