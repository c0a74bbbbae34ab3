import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { openApi } from '../../bin/openapi.ts';
import type { Route } from '../../functions/config/routes.ts';

// The document as its readers see it: JSON, with references to be followed.

export interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly type?: string;
  readonly pattern?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Content {
  readonly schema: Schema;
  readonly example?: unknown;
}

export interface Answer {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly content: Readonly<Record<string, Content>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, Answer | { readonly $ref: string }>>;
}

export const document = JSON.parse(JSON.stringify(openApi('0.0.0')));

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(document, 'document');

export const resolved = <Value>(value: Value | { readonly $ref: string }): Value =>
  typeof value === 'object' && value !== null && '$ref' in value && typeof value.$ref === 'string'
    ? value.$ref
        .split('/')
        .slice(1)
        .reduce((part, name) => part[name], document)
    : (value as Value);

// References are within the document, wherever the schema stands in it.
const absolute = (schema: Schema): Schema =>
  JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#', '"$ref":"document#'));

const validators = new Map<string, ValidateFunction>();

/** What is wrong with a value by a schema of the document; nothing if it is right. */
export function faultsOf(schema: Schema, value: unknown): string | undefined {
  const text = JSON.stringify(schema);
  const validate = validators.get(text) ?? ajv.compile(absolute(schema));
  validators.set(text, validate);
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

export const operationOf = ({ path, method }: Pick<Route, 'path' | 'method'>): Operation =>
  document.paths[path][method.toLowerCase()];

/** The body that an operation takes: its media type and schema. */
export function bodyOf({ requestBody }: Operation): (Content & { readonly type: string }) | undefined {
  const [[type, content] = []] = Object.entries(requestBody?.content ?? {});
  return type !== undefined && content ? { type, ...content } : undefined;
}
