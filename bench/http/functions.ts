/** The functions behind the local gateway, over PostgreSQL. */
import { randomBytes } from 'node:crypto';
import { createGateway } from '../../bin/local/gateway.ts';
import { parseConfiguration } from '../../functions/config/configuration.ts';
import { secretDigest } from '../../functions/domain/clients.ts';
import { systemClock } from '../../functions/domain/clock.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { createExchangeCode } from '../../functions/handlers/exchange-code.ts';
import { createIntrospect } from '../../functions/handlers/introspect.ts';
import { createIssueCode } from '../../functions/handlers/issue-code.ts';
import { createIssueTokens } from '../../functions/handlers/issue-tokens.ts';
import { createRefreshTokens } from '../../functions/handlers/refresh-tokens.ts';
import { standardLog as log } from '../../functions/log.ts';
import { openStores } from '../../functions/open-stores.ts';
import { configuredClients } from '../../functions/runtime.ts';
import { serve } from './serve.ts';

const { configuration } = parseConfiguration({
  accessTokenStores: { tokens: { storeIn: 'database', database: 'benchmark' } },
  authorizationCodeStores: { codes: { storeIn: 'database', database: 'benchmark' } },
  databases: { benchmark: { engine: 'postgresql', url: process.env.DATABASE_URL, pool: { idleEvictionMs: 0 } } },
  clients: {
    app: { secretDigests: [secretDigest('app-secret')] },
    api: { secretDigests: [secretDigest('api-secret')], mayIntrospect: true },
  },
});
const keyring = createKeyring([{ generation: 0, secret: randomBytes(32) }]);
const stores = await openStores(configuration, { keyring });
const clients = configuredClients(configuration);
const runtime = { configuration, stores, clients, keyring, clock: systemClock, log };

const gateway = createGateway(
  [
    { path: '/introspect', handler: createIntrospect(runtime) },
    { path: '/store/tokens', handler: createIssueTokens(runtime), iam: true },
    { path: '/store/tokens/refresh', handler: createRefreshTokens(runtime), iam: true },
    { path: '/store/codes', handler: createIssueCode(runtime), iam: true },
    { path: '/store/codes/exchange', handler: createExchangeCode(runtime), iam: true },
  ],
  log,
);

serve((request, response) => {
  if (!gateway(request, response)) response.writeHead(404).end();
});
