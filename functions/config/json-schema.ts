import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema';
import { sections } from './schema.ts';

/** The JSON Schema of oauth-stores.json (draft 7, which editors know best). For the build only: no function imports it. */
export const jsonSchema = (): JsonSchema => ({
  ...toJsonSchema(sections, { target: 'draft-07', typeMode: 'input' }),
  title: 'oauth-stores.json',
  description: 'OAuth 2.0 token stores: where they are, what is issued, who may ask.',
});
