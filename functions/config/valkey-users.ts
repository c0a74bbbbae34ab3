// The users of a Valkey that the deployment creates, by what functions do there, each with its access string
// (https://valkey.io/topics/acl/). Scripts run with the privileges of who calls them.

/** What a client sends to find the nodes of a cluster, and to each of them; also before it can ask each for its statistics. */
const connecting = ['cluster|slots', 'info', 'exists', 'readonly', 'client|setname'];
const reads = ['get', 'zrange'];
const writes = ['set', 'del', 'zadd', 'zrem', 'zcard', 'pexpire', 'persist', 'pttl', 'eval', 'evalsha'];

const accessString = (keys: string, commands: readonly string[]) =>
  ['on', 'resetchannels', keys, '-@all', ...commands.map((command) => `+${command}`)].join(' ');

export const valkeyUsers = {
  /** Looks up, and writes nothing. */
  reader: accessString('~*', [...connecting, ...reads]),
  writer: accessString('~*', [...connecting, ...reads, ...writes]),
  /** Reads statistics; the one key, which nothing has, leads it to the nodes of a cluster. */
  purger: accessString('~i', connecting),
} as const;

export type ValkeyUser = keyof typeof valkeyUsers;
