import * as v from 'valibot';
import { consistencies, type ReadConsistency, type WriteConsistency } from './consistency.ts';
import { kindOfEngine } from './engines.ts';
import { ConfigurationError, type Fault, kindOf, pathText } from './faults.ts';
import { isObject } from './fields.ts';
import { readJson } from './json-text.ts';
import { brokenRules, localStores, type storeSections } from './rules.ts';
import { sections } from './schema.ts';
import { type Warning, warningsOf } from './warnings.ts';

type Sections = v.InferOutput<typeof sections>;

/** oauth-stores.json as its author writes it. */
export type ConfigurationInput = v.InferInput<typeof sections>;

/** oauth-stores.json as the program reads it: every default filled in, every reference known to lead somewhere. */
export type Configuration = ReturnType<typeof complete>;

/** A store of any kind. */
export type StoreSettings = Configuration[(typeof storeSections)[number]][string];

/** What {@link parseConfiguration} and {@link readConfiguration} give. */
export interface Checked {
  readonly configuration: Configuration;
  /** What is accepted and yet may do harm, each with the remedy. */
  readonly warnings: readonly Warning[];
}

/**
 * The configuration in `json`, a value as JSON.parse gives it.
 *
 * @throws {ConfigurationError} with all faults at once
 */
export function parseConfiguration(json: unknown): Checked {
  return check(json, []);
}

/**
 * The configuration in `text`, which must be JSON.
 *
 * @param connections JSON of `caches`, `databases` and `cassandra`: what a deployment knows of them and the text does not,
 *   such as the names of tables that it created; its settings are laid over the text's
 * @throws {ConfigurationError} with the place of the first syntax error, or else with all faults at once
 */
export function readConfiguration(text: string, connections = '{}'): Checked {
  const { json, repeated } = readJson(text);
  return check(overlaid(json, readJson(connections).json), repeated);
}

function overlaid(json: unknown, connections: unknown): unknown {
  if (!isObject(json) || !isObject(connections)) return json;
  const settingsIn = (sections: object, section: string) => (Reflect.get(sections, section) ?? {}) as object;
  const changed = Object.entries(connections).map(([section, known]) => {
    const written = settingsIn(json, section);
    const merged = Object.entries(Object(known)).map(([name, settings]) => [
      name,
      { ...settingsIn(written, name), ...Object(settings) },
    ]);
    return [section, { ...written, ...Object.fromEntries(merged) }];
  });
  return { ...json, ...Object.fromEntries(changed) };
}

function check(json: unknown, found: readonly Fault[]): Checked {
  const result = v.safeParse(sections, json);
  const faults = [...found, ...brokenRules(result.output)];
  for (const fault of (result.issues ?? []).map(faultOf)) {
    // One value can break several checks of the schema, and where a rule blames it too, the rule knows more.
    if (!faults.some(({ path }) => path === fault.path)) faults.push(fault);
  }
  if (!result.success || faults.length > 0) {
    throw new ConfigurationError(faults.toSorted((a, b) => Number(a.path > b.path) - Number(a.path < b.path)));
  }
  const configuration = complete(result.output);
  return { configuration, warnings: warningsOf(configuration) };
}

type Issue = v.InferIssue<typeof sections>;

const faultOf = (issue: Issue): Fault => ({
  path: pathText(issue.path?.map(({ key }) => key) ?? []),
  kind: kindOfIssue(issue),
  accepted: issue.message,
});

function kindOfIssue({ type, kind, input, expected, path }: Issue): string {
  if (expected === 'never' && type === 'strict_object') return 'an unknown field';
  if (path?.at(-1)?.origin === 'key' && input !== undefined) return 'another name';
  if (kind === 'validation' && typeof input === 'number') return `the number ${input}`;
  const engineKind = path?.at(-1)?.key === 'engine' ? kindOfEngine(input) : undefined;
  return engineKind ? `${input}, the engine of a ${engineKind}` : kindOf(input);
}

/** Fills in the defaults that depend on another section. */
function complete(checked: Sections) {
  const consistent = <Store extends StoreInAnyPlace>(stores: Readonly<Record<string, Store>>) => {
    const completed: Record<string, WithConsistencies<Store>> = Object.create(null);
    for (const [name, store] of Object.entries(stores)) completed[name] = withConsistencies(store, checked.cassandra);
    return completed;
  };
  const { localDeployment } = checked;
  // The rules hold: where no store is named, there is exactly one.
  const name = (setting: keyof typeof localStores) =>
    localDeployment?.[setting] ?? String(Object.keys(checked[localStores[setting]])[0]);
  return {
    ...checked,
    accessTokenStores: consistent(checked.accessTokenStores),
    authorizationCodeStores: consistent(checked.authorizationCodeStores),
    clientAccessTokenStores: consistent(checked.clientAccessTokenStores),
    artifactStores: consistent(checked.artifactStores),
    localDeployment: localDeployment && {
      ...localDeployment,
      accessTokenStore: name('accessTokenStore'),
      authorizationCodeStore: name('authorizationCodeStore'),
      artifactStore: name('artifactStore'),
    },
  };
}

type StoreInAnyPlace = Sections[(typeof storeSections)[number]][string];

type WithConsistencies<Store> = Store extends { storeIn: 'cassandra' }
  ? Store & { readConsistency: ReadConsistency; writeConsistency: WriteConsistency }
  : Store;

function withConsistencies<Store extends StoreInAnyPlace>(store: Store, clusters: Sections['cassandra']) {
  if (store.storeIn !== 'cassandra') return store as WithConsistencies<Store>;
  const { readConsistency, writeConsistency } = consistencies[clusters[store.cassandra]?.engine ?? 'cassandra'];
  return {
    readConsistency: readConsistency[0],
    writeConsistency: writeConsistency[0],
    ...store,
  } as unknown as WithConsistencies<Store>;
}
