import { readFile } from 'node:fs/promises';
import { type Configuration, readConfiguration } from './config/configuration.ts';
import { environment } from './config/environment.ts';
import { type FunctionName, type StoreKind, type StoreUse, useOf } from './config/functions.ts';
import { systemClock } from './domain/clock.ts';
import { noKeyring, readKeyring } from './keys.ts';
import { failureFields, standardLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { openStores } from './open-stores.ts';
import { passwordFromAws } from './password-from-aws.ts';
import { configuredClients, type Invocation, type Runtime } from './runtime.ts';

/**
 * A function as AWS Lambda calls it: its runtime is made by the first call of an execution environment and kept, whatever
 * becomes of an event; a call that fails to make one fails, and the next one tries again. It opens the stores that it uses
 * ({@link useOf}) and no others.
 */
export function deployed<Event, Result>(
  create: (runtime: Runtime) => (event: Event, invocation: Invocation) => Promise<Result>,
  name: FunctionName,
): (event: Event, invocation: Invocation) => Promise<Result> {
  let handler: Promise<ReturnType<typeof create>> | undefined;
  return async (event, invocation) => {
    handler ??= fromEnvironment((configuration) => useOf(name, configuration))
      .then(create)
      .catch((error) => {
        handler = undefined;
        measured().log('error', 'the function did not start', { function: name, ...failureFields(error) });
        throw error;
      });
    return (await handler)(event, invocation);
  };
}

const given = ({ variable }: { variable: string }) => process.env[variable];

const measured = () =>
  createMetrics(standardLog, given(environment.metrics) ?? environment.metrics.default, systemClock);

/**
 * What the deployment gave to this function by its environment: the configuration's stores, opened, and the keys. For the
 * function of an authorization server to which the deployment granted access.
 *
 * @throws {ConfigurationError} @throws {InputError} the environment is not that of a deployment
 * @throws {StoreError} AWS KMS refuses or does not answer; an engine that this function's bundle does not hold
 */
export async function fromEnvironment(useIn?: (configuration: Configuration) => StoreUse): Promise<Runtime> {
  const { configurationFile, connections, ...names } = environment;
  const text = await readFile(given(configurationFile) ?? configurationFile.default, 'utf8');
  const { configuration } = readConfiguration(text, given(connections));
  const use = useIn?.(configuration);
  const purges = use && Object.values(use).every((access) => access === 'purge');
  const keyring = purges ? noKeyring : await readKeyring(given(names.keyring) ?? '');
  const { observe, log } = measured();
  const stores = await openStores(configuration, {
    keyring,
    observe,
    password: passwordFromAws,
    warn: (text) => log('warn', text),
    ...(use && { kinds: Object.keys(use) as StoreKind[] }),
  });
  return {
    configuration,
    stores,
    storeNames: {
      accessTokenStore: given(names.accessTokenStore),
      authorizationCodeStore: given(names.authorizationCodeStore),
      artifactStore: given(names.artifactStore),
    },
    clients: configuredClients(configuration),
    keyring,
    clock: systemClock,
    log,
  };
}
