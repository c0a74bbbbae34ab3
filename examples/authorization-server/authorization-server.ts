import type { IncomingMessage } from 'node:http';
import { fromEnvironment } from 'oauth2-stores';
import type { errors } from 'oidc-provider';
import serverless from 'serverless-http';
import { createProvider } from './provider.ts';
import { keysOf, readSecret } from './secrets.ts';
import { addSignIn } from './sign-in.ts';

const given = (variable: string): string => process.env[variable] ?? '';

/** What every call of an instance of the function shares. */
async function open(): Promise<serverless.Handler> {
  const [runtime, keySecret, password] = await Promise.all([
    fromEnvironment(), // the stores that `grantAccess` gave to this function
    readSecret(given('KEY_SECRET')),
    readSecret(given('PASSWORD_SECRET')),
  ]);
  const issuer = given('ISSUER');
  const user = { name: given('USER_NAME'), password };
  const provider = createProvider(issuer, runtime, keysOf(keySecret), user.name);
  addSignIn(provider, user);
  const refused = (_ctx: unknown, { error, error_detail }: errors.OIDCProviderError) =>
    runtime.log('info', 'request refused', { error, detail: error_detail });
  provider.on('grant.error', refused);
  provider.on('authorization.error', refused);
  provider.on('server_error', (_ctx, { name, message }) =>
    runtime.log('error', 'the authorization server failed', { name, detail: message }),
  );
  // The server is where its issuer says, whatever a request calls it.
  const { host, protocol } = new URL(issuer);
  return serverless(provider.callback(), {
    request({ headers, socket }: IncomingMessage) {
      headers.host = host;
      Object.assign(socket, { encrypted: protocol === 'https:' });
    },
  });
}

let opened: Promise<serverless.Handler> | undefined;

/** The authorization server, behind an HTTP API (payload 2.0). A call that fails to open it fails; the next tries again. */
export const handler: serverless.Handler = async (event, context) => {
  opened ??= open().catch((error) => {
    opened = undefined;
    throw error;
  });
  return (await opened)(event, context);
};
