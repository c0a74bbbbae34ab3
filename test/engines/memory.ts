import type { Engine } from './engine.ts';

export const memory: Engine = {
  name: 'memory',
  versions: ['in process'],
  start: async (version) => ({ version, env: {}, stop: async () => {} }),
};
