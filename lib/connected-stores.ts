import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stack } from 'aws-cdk-lib';
import { Code, type Function as LambdaFunction, LayerVersion } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';
import { environment } from '../functions/config/environment.ts';
import { ConfigurationError } from '../functions/config/faults.ts';
import type { StoreUse } from '../functions/config/functions.ts';
import { isOpened } from '../functions/config/places.ts';
import { storeSections } from '../functions/config/rules.ts';
import type { Watched } from './alarms.ts';
import { connectionUse, type Network, type StoreConnection } from './connection.ts';
import type { DeployableConnection } from './deployable.ts';
import { grantUnwrapping, type KeyringFacts } from './keyring.ts';
import { StoreFunction } from './store-function.ts';
import type { IOAuthStores } from './stores.ts';

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
const MOST_ENVIRONMENT_BYTES = 4096;
/** What keys and other variables take at most, names and all: four data keys, wrapped, of about 260 bytes each. */
const OTHER_ENVIRONMENT_BYTES = 4 * 260 + 768;
/** The most of a name that is known only when it is deployed. */
const UNKNOWN_BYTES = 100;

export interface Connected extends Pick<DeployableConnection, 'section' | 'name' | 'kinds' | 'cachesLookups'> {
  /** Asked for only where it is used: CloudFormation warns of a parameter that nothing refers to. */
  connection(): StoreConnection;
}

/** Stores whose connections and keys are known: created in this stack, or published by another one. */
export abstract class ConnectedStores extends Construct implements IOAuthStores {
  readonly configuration: Configuration;
  readonly configurationText: string;
  protected abstract readonly connected: readonly Connected[];
  protected abstract readonly keyring: () => KeyringFacts;

  constructor(
    scope: Construct,
    id: string,
    { configuration, text }: { readonly configuration: Configuration; readonly text: string },
  ) {
    super(scope, id);
    this.configuration = configuration;
    this.configurationText = text;
  }

  watched(): Readonly<Record<string, Watched>> {
    const byName = Map.groupBy(this.connected, ({ name }) => name);
    return Object.fromEntries(
      Array.from(byName, ([name, connected]) => [
        name,
        (limits) => connected.flatMap(({ connection }) => connection().watched?.(limits) ?? []),
      ]),
    );
  }

  networkFor(use: StoreUse = this.everyUse()): Network {
    const networks = this.connectionsIn(use).flatMap(({ connection }) => connection().network ?? []);
    return networks[0] ?? {}; // of which there is one
  }

  grantAccess(fn: LambdaFunction, use: StoreUse = this.everyUse()): void {
    if (Stack.of(fn) !== Stack.of(this)) {
      throw new Error(
        `${fn.node.path} is in another stack than ${this.node.path}; there, use OAuthStores.fromName, which ties no stacks together`,
      );
    }
    const connections: Record<string, Record<string, object>> = {};
    for (const connected of this.connectionsIn(use)) {
      const { section, name, connection } = connected;
      const used = connectionUse(use, connected);
      connections[section] = { ...connections[section], [name]: connection().settingsFor(used) };
      connection().grant(fn, used);
      connection().equip?.(fn);
    }
    this.assertFits(connections);
    fn.addEnvironment(environment.connections.variable, Stack.of(this).toJsonString(connections));
    if (Object.values(use).some((access) => access !== 'purge')) {
      fn.addEnvironment(environment.keyring.variable, this.keyring().keys);
      grantUnwrapping(fn, this.keyring());
    }
    if (fn instanceof StoreFunction) return; // whose code has the configuration beside it
    const layer = this.configurationLayer();
    fn.addLayers(layer);
    fn.addEnvironment(environment.configurationFile.variable, `/opt/${environment.configurationFile.default}`);
  }

  /** Reading and writing every store. */
  private everyUse(): StoreUse {
    const kinds = storeSections.filter((section) => Object.keys(this.configuration[section]).length > 0);
    return Object.fromEntries(kinds.map((kind) => [kind, 'write']));
  }

  private connectionsIn(use: StoreUse): Connected[] {
    return this.connected.filter((connected) => isOpened(connected, use));
  }

  private assertFits(connections: object): void {
    const text = JSON.stringify(connections);
    const unknown = text.match(/\$\{Token\[/g)?.length ?? 0;
    const size = Buffer.byteLength(text) + unknown * UNKNOWN_BYTES;
    const room = MOST_ENVIRONMENT_BYTES - OTHER_ENVIRONMENT_BYTES;
    if (size <= room) return;
    throw new ConfigurationError([
      {
        path: Object.keys(connections).join(', '),
        kind: `connections of about ${size} bytes for one function`,
        accepted: `at most ${room}, since the environment of a function holds ${MOST_ENVIRONMENT_BYTES} bytes; use fewer connections, or shorter names`,
      },
    ]);
  }

  private configurationLayer(): LayerVersion {
    const id = 'Configuration';
    const present = this.node.tryFindChild(id);
    if (present instanceof LayerVersion) return present;
    const folder = mkdtempSync(join(tmpdir(), 'configuration-'));
    writeFileSync(join(folder, environment.configurationFile.default), this.configurationText);
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    return new LayerVersion(this, id, {
      code: Code.fromAsset(folder),
      description: 'The configuration of the OAuth stores',
    });
  }
}
