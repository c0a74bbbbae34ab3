import type { Example } from './example.ts';

/** Says, for a person, where everything is and how to try it. */
export function announce(issuer: string, protectedPaths: readonly string[], example: Example | undefined): void {
  const places = {
    authorization: '/authorize',
    token: '/token',
    introspection: '/introspect',
    revocation: '/revoke',
    'token information': '/tokeninfo',
    discovery: '/.well-known/openid-configuration',
    health: '/health',
  };
  const lines = [
    `oauth2-stores is ready at ${issuer} (Ctrl-C stops it)`,
    '',
    ...Object.entries(places).map(([what, path]) => `  ${what.padEnd(18)} ${issuer}${path}`),
    ...protectedPaths.map((path) => `  ${'example API'.padEnd(18)} ${issuer}${path}`),
    '',
  ];
  if (example) {
    const { clientId, userName, authorizationUrl, tokenRequest } = example;
    lines.push(
      `Example client ${clientId}, example user ${userName}; their secrets are in examples/credentials.json.`,
      'A token for the client itself:',
      `  ${tokenRequest}`,
      ...(authorizationUrl ? ['A token for the user, in a browser:', `  ${authorizationUrl}`] : []),
      'The whole life of a grant: npm run demo',
    );
  } else {
    lines.push(`  curl ${issuer}/.well-known/openid-configuration`);
  }
  console.log(lines.join('\n'));
}
