/** `npm start`: the functions behind a local HTTP server, with an authorization server and an example API. */
import { readFileSync } from 'node:fs';
import { readConfiguration } from '../functions/config/configuration.ts';
import { environment } from '../functions/config/environment.ts';
import { systemClock } from '../functions/domain/clock.ts';
import { standardLog as log } from '../functions/log.ts';
import { openStores } from '../functions/open-stores.ts';
import { configuredClients, type Runtime } from '../functions/runtime.ts';
import { announce } from './local/announcement.ts';
import { createAuthorizationServer } from './local/authorization-server.ts';
import { openDataDirectory } from './local/data-directory.ts';
import { exampleOf } from './local/example.ts';
import { createGateway } from './local/gateway.ts';
import { createInteractions } from './local/interactions.ts';
import { startPurging } from './local/purging.ts';
import { localRoutes } from './local/routes.ts';
import { applyMissingSchemas } from './local/schemas.ts';
import { close, listen } from './local/server.ts';

/** A terminal and npm both hand Ctrl-C on: what comes so soon after the first is the same key. */
const SAME_KEY_MS = 500;

const setting = ({ variable, default: otherwise }: { variable: string; default: string | number }) =>
  process.env[variable] || `${otherwise}`;

try {
  await start();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

async function start(): Promise<void> {
  const port = Number(setting(environment.port));
  if (!(Number.isInteger(port) && port > 0 && port < 65_536))
    throw new Error('PORT is not a whole number from 1 to 65535');
  const file = setting(environment.configurationFile);
  const { configuration, warnings, localDeployment } = configurationIn(file);
  for (const { path, text } of warnings) console.error(`${file}: warning: ${path}: ${text}`);
  const dataDirectory = setting(environment.dataDirectory);
  const kept = await openDataDirectory(dataDirectory);

  const issuer = `http://${localDeployment.host}:${port}`;
  const { keyring } = kept;
  const options = { keyring, dataDirectory, warn: (text: string) => log('warn', text) };
  const stores = await openStores(configuration, options);
  await applyMissingSchemas(configuration, stores, options);
  const runtime: Runtime = {
    configuration: { ...configuration, issuer },
    stores,
    storeNames: localDeployment,
    clients: configuredClients(configuration),
    keyring,
    clock: systemClock,
    log,
  };
  const example = exampleOf(configuration, issuer);
  const gateway = createGateway(localRoutes(runtime, localDeployment, example), log);
  const provider = await createAuthorizationServer(issuer, runtime, localDeployment, kept);
  const interactions = createInteractions(provider, localDeployment.users, log);
  const authorizationServer = provider.callback();
  const server = await listen(
    (request, response) => {
      if (!gateway(request, response) && !interactions(request, response)) authorizationServer(request, response);
    },
    localDeployment.host,
    port,
  );
  const stopPurging = startPurging(runtime);
  announce(issuer, Object.keys(localDeployment.protectedPaths), example);

  let stoppingSince: number | undefined;
  const stop = async () => {
    if (stoppingSince !== undefined) {
      if (Date.now() - stoppingSince > SAME_KEY_MS) process.exit(130);
      return;
    }
    stoppingSince = Date.now();
    console.log('stopping');
    await close(server);
    await stopPurging();
    await stores.close();
    kept.release();
    process.exit(0);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

function configurationIn(file: string) {
  try {
    const { configuration, warnings } = readConfiguration(readFileSync(file, 'utf8'));
    const { localDeployment } = configuration;
    if (!localDeployment) throw new Error('there is no section localDeployment, which npm start needs');
    return { configuration, warnings, localDeployment };
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}
