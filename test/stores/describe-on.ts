import { describe } from 'vitest';

/** `describe`, for what needs a server that `npm run test:engines` starts; without that server nothing is there to be described. */
export const describeOn = (server: unknown): typeof describe | ((name: string, tests: () => void) => void) =>
  server === undefined ? () => {} : describe;
