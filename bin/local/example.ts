import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../functions/config/configuration.ts';
import { secretDigest } from '../../functions/domain/clients.ts';

/** What examples/credentials.json holds: the secrets whose digests stand in the configuration. */
export interface Credentials {
  readonly user: { readonly name: string; readonly password: string };
  readonly client: { readonly id: string; readonly secret: string };
  readonly resourceServer: { readonly id: string; readonly secret: string };
}

const exampleFile = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

export const readCredentials = (): Credentials => JSON.parse(readFileSync(exampleFile('credentials.json'), 'utf8'));

/** How to try the deployment out as its example client: commands for a shell in the current folder, and URLs. */
export interface Example {
  readonly clientId: string;
  readonly userName: string;
  /** A token for the client itself, as the example API wants it. */
  readonly tokenRequest: string;
  /** A code for the user, in a browser; not there when the callback page is no redirect URI of the client. */
  readonly authorizationUrl?: string;
  /** Redeems the code that the callback page gets. */
  redemption(code: string): string;
}

/** Nothing, when the configuration's clients are not the examples. */
export function exampleOf({ clients, localDeployment }: Configuration, issuer: string): Example | undefined {
  const { user, client } = readCredentials();
  const registered = clients[client.id];
  const digests = registered && 'secretDigests' in registered ? registered.secretDigests : [];
  if (!registered || !localDeployment?.exampleData || !digests.includes(secretDigest(client.secret))) return undefined;
  const wanted = Object.values(localDeployment.protectedPaths).flat();
  const callback = `${issuer}/callback`;
  const tokenRequest = (parameters: Readonly<Record<string, string>>) => {
    const data = Object.entries(parameters).map(([name, value]) => `-d ${name}=${value}`);
    return `curl -K ${relative('', exampleFile('client.curl'))} ${data.join(' ')} ${issuer}/token`;
  };
  const authorization = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    redirect_uri: callback,
    scope: registered.scopes.join(' '),
  });
  return {
    clientId: client.id,
    userName: user.name,
    tokenRequest: tokenRequest({ grant_type: 'client_credentials', scope: wanted.join('+') }),
    ...(registered.redirectUris.includes(callback) && { authorizationUrl: `${issuer}/authorize?${authorization}` }),
    redemption: (code) => tokenRequest({ grant_type: 'authorization_code', redirect_uri: callback, code }),
  };
}
