export { OAuthAuthorizer } from './oauth-authorizer.ts';
export { OAuthStores } from './oauth-stores.ts';
