import { readFileSync } from 'node:fs';
import { Annotations, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import {
  type Checked,
  type ConfigurationInput,
  parseConfiguration,
  readConfiguration,
} from '../functions/config/configuration.ts';
import { readJson } from '../functions/config/json-text.ts';
import { parameterName } from '../functions/config/parameters.ts';
import type { Warning } from '../functions/config/warnings.ts';
import { withCertificates } from './carried-certificates.ts';
import { type Connected, ConnectedStores } from './connected-stores.ts';
import type { Network } from './connection.ts';
import { type DeployableConnection, deployableConnections, deploymentWarnings } from './deployable.ts';
import type { FactsOf } from './engine-deployment.ts';
import type { EngineOptions } from './engines.ts';
import { type KeyGenerations, Keyring, type KeyringFacts, keyringFacts } from './keyring.ts';
import { functionNetwork, networkFacts, PrivateNetwork, type PrivateNetworkProps } from './network.ts';
import { Facts, publishedFacts } from './parameters.ts';
import type { IOAuthStores } from './stores.ts';

/** The stores of a deployment, wherever they were created: what is said of them there is said in the same way elsewhere. */
export interface OAuthStoresLocation extends EngineOptions {
  /** Path of oauth-stores.json, or what stands in it. */
  readonly configuration: string | ConfigurationInput;
  /** The deployment’s name: its parameters of SSM are named for it. Default: oauth2-stores. */
  readonly name?: string;
}

export interface OAuthStoresProps extends OAuthStoresLocation {
  /**
   * The generations of the data key, and the one in use. Default: generation 0.
   *
   * A key is replaced in three deployments: one that adds a generation, which all functions accept from then on; one that
   * makes it current; and, when the last token of the former has expired, one that leaves that out.
   */
  readonly keys?: KeyGenerations;
  /**
   * A customer-managed key for data keys and for what is created. Default: a key of its own for the data keys, and for
   * tables one that AWS owns.
   */
  readonly encryptionKey?: IKey;
  /** What becomes of tables, databases and keys that are no longer part of their stack. Default: they stay. */
  readonly removalPolicy?: RemovalPolicy;
  /** Whether tables and databases refuse to be deleted. Default: true. */
  readonly deletionProtection?: boolean;
  /** Where servers are, and the functions that use them. Default: a VPC of its own, without a way to the internet. */
  readonly network?: Omit<PrivateNetworkProps, 'services' | 'removalPolicy'>;
}

const DEFAULT_NAME = 'oauth2-stores';
/**
 * The stores of a configuration: creates the tables and databases that it names and that are not there yet, and the keys;
 * reaches those that are. What another stack needs to know of them it finds by {@link OAuthStores.fromName}.
 *
 * What is created is found again by the name of its cache or database in the configuration. Under another name it is
 * created anew, empty, and the former stays behind as its removal policy says.
 *
 * @throws {ConfigurationError} what cannot be deployed, all faults at once
 */
export class OAuthStores extends ConnectedStores {
  protected readonly connected: readonly Connected[];
  protected readonly keyring: () => KeyringFacts;

  /** The stores that an `OAuthStores` of this name created in another stack of the same account and Region. */
  static fromName(scope: Construct, id: string, location: OAuthStoresLocation): IOAuthStores {
    return new PublishedStores(scope, id, location);
  }

  constructor(scope: Construct, id: string, props: OAuthStoresProps) {
    const { text, configuration, warnings } = read(props.configuration);
    super(scope, id, { configuration, text });
    const {
      configuration: _,
      name = DEFAULT_NAME,
      keys = { generations: [0], current: 0 },
      encryptionKey,
      removalPolicy = RemovalPolicy.RETAIN,
      deletionProtection = true,
      network,
      ...options
    } = props;
    const kept = { deletionProtection, removalPolicy, ...(encryptionKey && { encryptionKey }) };
    const used = deployableConnections(configuration, {
      ...options,
      name,
      keys,
      hasVpc: network?.vpc !== undefined,
    });
    const further = [...deploymentWarnings(configuration, options), ...removalWarnings(kept)];
    for (const { path, text } of [...warnings, ...further]) {
      Annotations.of(this).addWarningV2(`oauth2-stores:${path}`, path === '' ? text : `${path}: ${text}`);
    }

    const keyring = new Keyring(this, 'Keyring', { ...kept, ...keys, name }).facts;
    new Facts(this, 'KeyringFacts', parameterName(name, ...KEYRING), keyring);
    this.keyring = () => keyring;

    const privateNetwork = once(() => {
      const services = used.flatMap(({ service }) => service ?? []);
      const created = new PrivateNetwork(this, 'Network', { ...network, services, removalPolicy });
      new Facts(this, 'NetworkFacts', parameterName(name, ...NETWORK), created.facts);
      return created;
    });
    this.connected = connect(this, used, {
      facts: (each) => each.create?.(this, idOf(each), { ...kept, network: privateNetwork }) ?? {},
      network: (each) => {
        const { vpc, subnets, clients } = privateNetwork();
        each.allow?.(this, idOf(each), privateNetwork());
        return { vpc, vpcSubnets: { subnets: [...subnets] }, securityGroups: [clients] };
      },
    });
    for (const each of this.connected) {
      const { facts, settingsFor } = each.connection();
      // What the command line lays over the configuration: for a user who may do everything.
      const settings = Stack.of(this).toJsonString(settingsFor({ tokens: 'write', artifacts: 'write' }));
      new Facts(this, `${idOf(each)} facts`, factsPath(name, each), { ...facts, settings });
    }
  }
}

/** Stores that another stack created and published. */
class PublishedStores extends ConnectedStores {
  protected readonly connected: readonly Connected[];
  protected readonly keyring: () => KeyringFacts;

  constructor(scope: Construct, id: string, location: OAuthStoresLocation) {
    const { configuration: given, name = DEFAULT_NAME, ...options } = location;
    const { text, configuration } = read(given);
    super(scope, id, { configuration, text });
    const used = deployableConnections(configuration, { ...options, name });
    const published = <Name extends string>(path: string, names: readonly Name[]) => publishedFacts(this, path, names);
    this.keyring = once(() => published(parameterName(name, ...KEYRING), keyringFacts));
    this.connected = connect(this, used, {
      facts: (each) => published(factsPath(name, each), each.facts),
      network: once(() => functionNetwork(this, 'Network', published(parameterName(name, ...NETWORK), networkFacts))),
    });
  }
}

/** What is known of what the deployment creates, and of where functions reach it. */
interface Known {
  facts(connection: DeployableConnection): FactsOf<string>;
  network(connection: DeployableConnection): Network;
}

const connect = (scope: Construct, used: readonly DeployableConnection[], known: Known): Connected[] =>
  used.map((each) => ({
    ...each,
    connection: once(() => {
      const facts = each.create ? known.facts(each) : {};
      return each.connect(scope, facts, each.isInNetwork ? known.network(each) : {});
    }),
  }));

function once<Made extends object>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const KEYRING = ['keyring'];
const NETWORK = ['network'];

/** Changing what is made of the name would replace every table. */
const idOf = ({ section, name }: Pick<DeployableConnection, 'section' | 'name'>): string => `${section} ${name}`;

const factsPath = (deployment: string, { section, name }: Pick<DeployableConnection, 'section' | 'name'>): string =>
  parameterName(deployment, section, name);

/** The configuration, and its text without what concerns the local deployment alone, such as its users. */
function read(given: string | ConfigurationInput): Checked & { readonly text: string } {
  const file = typeof given === 'string' ? readFileSync(given, 'utf8') : undefined;
  const checked = file === undefined ? parseConfiguration(given) : readConfiguration(file);
  const input = withCertificates((file === undefined ? given : readJson(file).json) as ConfigurationInput);
  const { localDeployment: _, ...deployed } = input;
  return { ...checked, ...parseConfiguration(input), text: JSON.stringify(deployed) };
}

const removalWarnings = ({
  removalPolicy,
  deletionProtection,
}: Pick<Required<OAuthStoresProps>, 'removalPolicy' | 'deletionProtection'>): Warning[] => [
  ...(removalPolicy === RemovalPolicy.DESTROY
    ? [{ path: 'removalPolicy', text: 'with the stack go all tokens, and their keys; leave it out, but for a test' }]
    : []),
  ...(deletionProtection
    ? []
    : [{ path: 'deletionProtection', text: 'whoever deletes a table deletes all tokens in it; leave it out' }]),
];
