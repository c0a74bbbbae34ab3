import { App } from 'aws-cdk-lib';
import { AuthorizationServerStack } from './stack.ts';

const app = new App();
const issuer: string | undefined = app.node.tryGetContext('issuer');
new AuthorizationServerStack(app, 'example-authorization-server', {
  ...(issuer !== undefined && { issuer }),
  description: 'An authorization server over oauth2-stores, and an API that it protects: an example',
});
