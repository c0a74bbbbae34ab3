/** What is wrong at one place of the configuration. */
export interface Fault {
  /** The setting, such as `accessTokenStores["tokens"].purgeUpTo`; empty for the whole. */
  readonly path: string;
  /** The kind of what was found; never the value where it could be a secret. */
  readonly kind: string;
  /** What is accepted there. */
  readonly accepted: string;
}

/** A configuration that cannot be used, with all of its faults. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    const lines = faults.map(
      ({ path, kind, accepted }) => `  ${path || 'the whole'}: found ${kind}; accepted: ${accepted}`,
    );
    super([`${faults.length} ${faults.length === 1 ? 'fault' : 'faults'} in the configuration:`, ...lines].join('\n'));
    this.faults = faults;
  }
}

/** The sections whose fields are names that the user chose: a path shows these in quotes. */
const namedSections: readonly unknown[] = [
  'accessTokenStores',
  'authorizationCodeStores',
  'clientAccessTokenStores',
  'artifactStores',
  'caches',
  'databases',
  'cassandra',
  'clients',
];

export const pathText = (path: readonly unknown[]): string =>
  path
    .map((key, depth) => {
      if (typeof key === 'number') return `[${key}]`;
      const name = String(key);
      const quoted = !/^[A-Za-z_$][\w$]*$/.test(name) || (depth === 1 && namedSections.includes(path[0]));
      if (quoted) return `[${JSON.stringify(name)}]`;
      return depth === 0 ? name : `.${name}`;
    })
    .join('');

/** What a value is, without saying the value. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value === '') return 'empty text';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' ? 'a number' : 'an object';
}

/** A fault at `path`, if a rule is broken. */
export const when = (broken: unknown, path: readonly unknown[], kind: string, accepted: string): Fault[] =>
  broken ? [{ path: pathText(path), kind, accepted }] : [];
