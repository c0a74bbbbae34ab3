/** `npm run demo`: the whole life of a grant, against a running `npm start`. Every step is checked; the first that fails ends it. */
import * as oauth from 'openid-client';
import { environment } from '../functions/config/environment.ts';
import { authorizeAs } from './demo/browser.ts';
import { readCredentials } from './local/example.ts';

const REDIRECT_URI = 'http://127.0.0.1:9999/callback';
const SCOPE = 'openid offline_access orders:read';

const server = `http://127.0.0.1:${process.env[environment.port.variable] || environment.port.default}`;
const { user, client, resourceServer } = readCredentials();

async function demo(): Promise<void> {
  const app = await discovered(client);
  const api = await discovered(resourceServer);

  const first = await authorize(app);
  say('alice signs in and consents: the client has a code');
  const tokens = await first.redeem();
  must(tokens.refresh_token && tokens.claims()?.sub === user.name, 'code → access token, refresh token and ID Token');

  must((await callApi(tokens.access_token)).status === 200, 'the API lets the access token in');
  must((await callApi()).status === 400, 'without a token the API says invalid_request');
  const other = await oauth.clientCredentialsGrant(app, { scope: 'orders:write' });
  const refused = await callApi(other.access_token);
  const challenge = refused.headers.get('www-authenticate') ?? '';
  must(
    refused.status === 403 && challenge.includes('insufficient_scope') && challenge.includes('orders:read'),
    'with a token for another scope it says insufficient_scope, and which one it wants',
  );

  const { active, sub, client_id, scope } = await oauth.tokenIntrospection(api, tokens.access_token);
  must(
    active && sub === user.name && client_id === client.id && scope === SCOPE,
    'introspection: active, with subject, client and scopes',
  );

  const second = await refresh(app, tokens);
  must(await isActive(api, second.access_token), 'refresh → a new access token and a new refresh token');
  const retried = await refresh(app, tokens);
  must(
    retried.access_token === second.access_token && retried.refresh_token === second.refresh_token,
    'the same refresh again, as if the answer had been lost: the very same pair',
  );

  must(await isInvalidGrant(first.redeem()), 'the code again: invalid_grant');
  must(
    !(await isActive(api, tokens.access_token)) && !(await isActive(api, second.access_token)),
    '… and every token that it gave is revoked',
  );
  must((await callApi(second.access_token)).status === 401, '… so that the API says invalid_token');

  const stolen = await (await authorize(app)).redeem();
  const latest = await refresh(app, await refresh(app, stolen));
  must(await isActive(api, latest.access_token), 'a new grant, refreshed twice');
  must(await isInvalidGrant(refresh(app, stolen)), 'its first refresh token again, out of the grace: invalid_grant');
  must(
    !(await isActive(api, latest.access_token)) && (await isInvalidGrant(refresh(app, latest))),
    '… and the whole grant is revoked, thief and victim alike',
  );

  const last = await (await authorize(app)).redeem();
  await oauth.tokenRevocation(app, last.access_token);
  must(
    !(await isActive(api, last.access_token)) && (await isActive(api, (await refresh(app, last)).access_token)),
    'a new grant; its access token is revoked, its refresh token goes on',
  );

  const kept = await (await authorize(app)).redeem();
  const ended = await (await authorize(app)).redeem();
  await oauth.tokenRevocation(app, String(ended.refresh_token));
  must(
    !(await isActive(api, ended.access_token)) && (await isInvalidGrant(refresh(app, ended))),
    'a refresh token is revoked: its access token ends with it',
  );

  const purge = await fetch(`${server}/purge`, { method: 'POST' });
  must(purge.status === 200 && (await isActive(api, kept.access_token)), 'the purge runs, and leaves what is alive');
  await oauth.tokenRevocation(app, String(kept.refresh_token));
}

function say(step: string): void {
  console.log(`✓ ${step}`);
}

function must(holds: unknown, step: string): asserts holds {
  if (!holds) throw new Error(step);
  say(step);
}

async function discovered({ id, secret }: { id: string; secret: string }): Promise<oauth.Configuration> {
  const options = { execute: [oauth.allowInsecureRequests] };
  try {
    return await oauth.discovery(new URL(server), id, undefined, oauth.ClientSecretBasic(secret), options);
  } catch (cause) {
    throw new Error(`no authorization server answers at ${server}: start it with npm start, or give its PORT`, {
      cause,
    });
  }
}

/** The code flow with PKCE, up to the code. */
async function authorize(app: oauth.Configuration) {
  const pkceCodeVerifier = oauth.randomPKCECodeVerifier();
  const state = oauth.randomState();
  const request = oauth.buildAuthorizationUrl(app, {
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  const answer = await authorizeAs(user, request, REDIRECT_URI);
  if (!answer.searchParams.has('code')) throw new Error(`a code, not ${answer.searchParams.get('error')}`);
  const checks = { pkceCodeVerifier, expectedState: state };
  return { redeem: () => oauth.authorizationCodeGrant(app, answer, checks) };
}

const refresh = (app: oauth.Configuration, { refresh_token }: oauth.TokenEndpointResponse) =>
  oauth.refreshTokenGrant(app, String(refresh_token));

const isActive = async (api: oauth.Configuration, token: string) => (await oauth.tokenIntrospection(api, token)).active;

const isInvalidGrant = (request: Promise<unknown>): Promise<boolean> =>
  request.then(
    () => false,
    (error: unknown) => error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant',
  );

const callApi = (token?: string) =>
  fetch(`${server}/protected`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });

try {
  await demo();
} catch (error) {
  console.log(`✗ ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
