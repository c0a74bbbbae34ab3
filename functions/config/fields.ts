import * as v from 'valibot';

// What schema.ts is made of: valibot's own schemas, with two habits added. The message of a schema says what is accepted,
// in words that follow "accepted:", and nothing about what was found: a value may be a secret. And every fault is found
// in one run: valibot's strictObject names the first unknown field only, its objects and records take an array for an
// object, its variant looks no further when the discriminating field is wrong.

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `a, b or c` */
export const either = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** An object of these fields and no others. */
export function object<const Entries extends v.ObjectEntries>(entries: Entries) {
  const accepted = ({ expected, path }: v.StrictObjectIssue): string => {
    if (expected === 'Object') return 'an object';
    if (expected === 'never') return `one of the fields ${Object.keys(entries).join(', ')}`;
    return acceptedBy(entries[String(path?.at(-1)?.key)]);
  };
  // valibot names the first unknown field itself.
  const furtherUnknown = (input: object) =>
    Object.keys(input)
      .filter((name) => !Object.hasOwn(entries, name))
      .slice(1);
  return strict(v.strictObject(entries, accepted), furtherUnknown);
}

// valibot leaves these out of records without a word.
const unusableNames = ['__proto__', 'constructor', 'prototype'] as const;
const usableNames = `as a name: any text but an empty one, ${either(unusableNames)}`;

/** Any number of values, each under a name that the user chooses. */
export function named<const Value extends v.GenericSchema>(
  value: Value,
  description: string,
  form = /[\s\S]/,
  formIs = usableNames,
) {
  const name = v.pipe(v.string(), v.regex(form, formIs), v.notValues(unusableNames, usableNames));
  const unusable = (input: object) => unusableNames.filter((each) => Object.hasOwn(input, each));
  const record = strict(
    v.record(name, value, ({ expected }) => (expected === 'Object' ? 'an object' : usableNames)),
    unusable,
  );
  return v.pipe(
    record,
    v.description(description),
    // A name that comes with a request, such as "toString", must not be found where nobody put it.
    v.transform((values): v.InferOutput<typeof record> => Object.assign(Object.create(null), values)),
  );
}

/** `schema`, which takes objects, made to refuse lists and the names that `refused` picks out. */
function strict<Schema extends v.GenericSchema>(schema: Schema, refused: (input: object) => string[]): Schema {
  const plain: v.GenericSchema = schema;
  const run: v.GenericSchema['~run'] = (dataset, config) => {
    const input = dataset.value;
    if (Array.isArray(input)) return v.never('an object')['~run'](dataset, config);
    const result = plain['~run'](dataset, config);
    if (!isObject(input)) return result;
    for (const name of refused(input)) {
      const path: [v.ObjectPathItem] = [{ type: 'object', origin: 'key', input, key: name, value: input[name] }];
      v._addIssue(plain, 'key', result, config, { input: name, expected: 'never', path });
    }
    return result;
  };
  return { ...schema, '~run': run };
}

type Option = v.GenericSchema & { readonly entries: v.ObjectEntries };

/**
 * One of several objects, told apart by the field `key`. When that field fits none of them, the fields on which all of
 * them agree are checked nevertheless.
 */
export function variant<const Options extends readonly Option[]>(key: string, options: Options, accepted: string) {
  const schema = v.union(options);
  const undecided = object({ ...fieldsOfAny(options), [key]: v.never(accepted) });
  const run: (typeof schema)['~run'] = (dataset, config) => {
    const chosen = isObject(dataset.value) ? dataset.value[key] : undefined;
    const fits = ({ entries }: Option) => entries[key] !== undefined && v.is(entries[key], chosen);
    const option = isObject(dataset.value) ? (options.find(fits) ?? undecided) : undecided;
    return option['~run'](dataset, config) as ReturnType<(typeof schema)['~run']>;
  };
  return { ...schema, '~run': run };
}

function fieldsOfAny(options: readonly Option[]): v.ObjectEntries {
  const fields: Record<string, v.GenericSchema> = {};
  for (const [name, field] of options.flatMap(({ entries }) => Object.entries(entries))) {
    const agreed = options.every(({ entries }) => entries[name] === undefined || entries[name] === field);
    fields[name] = v.optional(agreed ? (field as v.GenericSchema) : v.unknown());
  }
  return fields;
}

/** A whole number within these bounds, both of them included. */
export function whole(least: number, most: number, description: string) {
  const accepted = `a whole number from ${least} to ${most}`;
  return v.pipe(
    v.number(accepted),
    v.integer(accepted),
    v.minValue(least, accepted),
    v.maxValue(most, accepted),
    v.description(description),
  );
}

/** A period of up to ten years. */
export const seconds = (description: string) => whole(1, 315_360_000, description);

export const flag = (description: string) => v.pipe(v.boolean('true or false'), v.description(description));

/** This value alone, where another option of a {@link variant} takes the others. */
export const only = <const Value extends boolean>(value: Value, accepted: string, description: string) =>
  v.pipe(v.literal(value, accepted), v.description(description));

export const oneOf = <const Words extends readonly string[]>(words: Words, description: string) =>
  v.pipe(v.picklist(words, either(words)), v.description(description));

/** Text of the form `pattern`; without one, any that is not empty. */
export const text = (description: string, pattern: RegExp = /[\s\S]/, accepted = 'text that is not empty') =>
  v.pipe(v.string(accepted), v.regex(pattern, accepted), v.description(description));

export const list = <const Item extends v.GenericSchema>(item: Item, description: string) =>
  v.pipe(v.array(item, `a list; in it, ${acceptedBy(item)}`), v.description(description));

/** The words for what `schema` accepts. */
function acceptedBy(schema: unknown): string {
  return isObject(schema) && typeof schema.message === 'string' ? schema.message : 'an object';
}
