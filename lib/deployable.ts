import type { Configuration } from '../functions/config/configuration.ts';
import { type EngineKind, engineKinds, kindOfEngine } from '../functions/config/engines.ts';
import { ConfigurationError, type Fault, kindOf, when } from '../functions/config/faults.ts';
import { either } from '../functions/config/fields.ts';
import { type ConnectionSettings, type UsedConnection, usedConnections } from '../functions/config/places.ts';
import { connectionSections, storeSections } from '../functions/config/rules.ts';
import type { Warning } from '../functions/config/warnings.ts';
import type { DeploymentContext, EngineDeployment, Engineer } from './engine-deployment.ts';
import { type EngineOptions, engines } from './engines.ts';
import type { KeyGenerations } from './keyring.ts';

// What a deployment demands of a configuration beyond what holds for every use of it, and of the settings beside it.

/** What is said of a deployment beside its configuration. */
export interface DeploymentSettings extends EngineOptions, Omit<DeploymentContext, 'configuration'> {
  readonly name: string;
  readonly keys?: KeyGenerations;
}

/** A cache, database or cluster that stores refer to, and that can be deployed. */
export type DeployableConnection = UsedConnection & EngineDeployment;

/** Two while a key is being replaced; wrapped, they share the environment of a function with everything else. */
const MOST_GENERATIONS = 4;
const LAST_GENERATION = 63;

/**
 * The connections of a configuration that can be deployed with these settings.
 *
 * @throws {ConfigurationError} what cannot work once it is deployed, all faults at once
 */
export function deployableConnections(
  configuration: Configuration,
  settings: DeploymentSettings,
): readonly DeployableConnection[] {
  const used = usedConnections(configuration);
  const deployed = used.flatMap((each) => deployedBy(each, { ...settings, configuration }) ?? []);
  const faults = [
    ...nameFaults(settings),
    ...keyFaults(settings),
    ...storeFaults(configuration),
    ...used.flatMap(engineFaults),
    ...deployed.flatMap((each) => each.faults()),
    ...exampleFaults(configuration),
  ];
  if (faults.length > 0) throw new ConfigurationError(faults);
  return deployed;
}

/** What works once it is deployed, and yet may cost or harm. */
export const deploymentWarnings = (configuration: Configuration, options: EngineOptions = {}): Warning[] =>
  usedConnections(configuration).flatMap((used) => deployedBy(used, { ...options, configuration })?.warnings() ?? []);

const isEmbedded = ({ settings }: UsedConnection): boolean => 'embedded' in settings && settings.embedded;

function deployedBy(
  used: UsedConnection,
  deployment: EngineOptions & DeploymentContext,
): DeployableConnection | undefined {
  if (isEmbedded(used)) return undefined;
  // Its settings are those of the engine under whose name it stands.
  const engineer = engines[used.settings.engine] as Engineer<ConnectionSettings, EngineOptions> | undefined;
  return engineer && { ...used, ...engineer(used, deployment) };
}

function engineFaults(used: UsedConnection): Fault[] {
  const { section, name, settings } = used;
  const { engine } = settings;
  const isDeployable = engine in engines;
  const place = engineKinds.find((kind) => connectionSections[kind] === section);
  const found = engine === 'memory' ? 'memory, which ends with each instance of a function' : engine;
  return [
    ...when(!isDeployable, [section, name, 'engine'], found, either(enginesOf(place))),
    ...when(
      isDeployable && isEmbedded(used),
      [section, name, 'embedded'],
      'true: files that end with each instance of a function',
      'false, or nothing',
    ),
  ];
}

const enginesOf = (kind: EngineKind | undefined) => Object.keys(engines).filter((each) => kindOfEngine(each) === kind);

const nameFaults = ({ name }: DeploymentSettings): Fault[] =>
  when(
    !/^(?!aws|ssm)[A-Za-z][A-Za-z0-9-]{0,59}$/i.test(name),
    ['name'],
    kindOf(name),
    'a letter and up to 59 letters, digits and -, but not aws… or ssm…: stacks and parameters are named for it',
  );

function keyFaults({ keys }: DeploymentSettings): Fault[] {
  if (!keys) return [];
  const { generations, current } = keys;
  const known = new Set(generations);
  const isGeneration = (each: number) => Number.isInteger(each) && each >= 0 && each <= LAST_GENERATION;
  return [
    ...when(
      known.size === 0 ||
        known.size > MOST_GENERATIONS ||
        known.size < generations.length ||
        ![...known].every(isGeneration),
      ['keys', 'generations'],
      JSON.stringify(generations),
      `1 to ${MOST_GENERATIONS} whole numbers from 0 to ${LAST_GENERATION}, each once`,
    ),
    ...when(
      known.size > 0 && !known.has(current),
      ['keys', 'current'],
      `the number ${current}`,
      `one of the generations, ${either([...known].map(String))}; a new one is added first, and made current by a later deployment`,
    ),
  ];
}

const storeFaults = (configuration: Configuration): Fault[] =>
  when(
    storeSections.every((section) => Object.keys(configuration[section]).length === 0),
    [],
    'no store',
    `at least one, in ${either(storeSections)}`,
  );

/** Secrets that stand in the project’s own example: their digests, as the example configuration has them. */
const exampleSecrets = [
  'sha256:P1T9ePuN5xXzI9tc3Xmkchxak1iMdieYHh-i4BRwPQg',
  'sha256:C2cTDF_rXhs4T7dIRsNuH7wjynN8fq8btGVPpC2i5N4',
];

const exampleFaults = ({ clients, localDeployment }: Configuration): Fault[] => [
  ...when(
    localDeployment?.exampleData,
    ['localDeployment', 'exampleData'],
    'true',
    'false, with clients and users of your own: the secrets of the examples are known to everybody',
  ),
  ...Object.entries(clients).flatMap(([clientId, client]) =>
    ('secretDigests' in client ? client.secretDigests : []).flatMap((digest, index) =>
      when(
        exampleSecrets.includes(digest),
        ['clients', clientId, 'secretDigests', index],
        'the secret of an example, which everybody knows',
        'the digest of a secret of your own',
      ),
    ),
  ),
];
