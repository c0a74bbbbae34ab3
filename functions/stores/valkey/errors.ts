import { StoreError, type StoreErrorCode } from '../../domain/errors.ts';

// The first word of a server's error reply, https://valkey.io/topics/cluster-spec and src/server.c (shared objects).
const CODES: Readonly<Record<string, StoreErrorCode>> = {
  // Full, and told not to evict: room comes back with every key that expires. Nothing was written.
  OOM: 'throttled',
  BUSY: 'throttled', // somebody's script runs too long
  TRYAGAIN: 'throttled', // keys of one call are on their way to another node
  LOADING: 'unavailable',
  CLUSTERDOWN: 'unavailable',
  MASTERDOWN: 'unavailable',
  READONLY: 'unavailable', // a replica now
  MISCONF: 'unavailable', // it cannot persist, and takes no writes until it can
  NOREPLICAS: 'unavailable',
  NOAUTH: 'unavailable',
  WRONGPASS: 'unavailable',
  UNBLOCKED: 'unavailable',
  NOPERM: 'unsupported',
  CROSSSLOT: 'unsupported',
  MOVED: 'unsupported', // a cluster, taken for a single server
  ASK: 'unsupported',
  WRONGTYPE: 'invalid', // keys of another application
  ERR: 'invalid',
};

const WORDS: readonly (readonly [RegExp, StoreErrorCode])[] = [
  [
    /^ERR (unknown|cluster support disabled)|cluster support disabled|This Redis command is not allowed/i,
    'unsupported',
  ],
  [/^ERR max number of clients/i, 'throttled'],
  [/^ERR AUTH/i, 'unavailable'],
  // A slot on its way, sent after from node to node until the client had enough.
  [/^Too many Cluster redirections.*(MOVED|ASK) /, 'unavailable'],
];

/** The first word of a reply, also of one that the client ran after in vain. */
const kindOf = (message: string): string =>
  message.replace(/^.*Last error: (ReplyError: )?/, '').split(' ', 1)[0] ?? '';

export const isRefusedByReplica = (error: unknown): boolean =>
  error instanceof Error && kindOf(error.message) === 'READONLY';

export const isUnknownScript = (error: unknown): boolean =>
  error instanceof Error && kindOf(error.message) === 'NOSCRIPT';

/** A reply of the server, as opposed to the loss of a connection. */
export const isReply = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'ReplyError' || /Last error: ReplyError/.test(error.message));

/** What Valkey or its client threw, as a StoreError; none of a server's words are repeated but the first, which names the error. */
export function storeError(cause: unknown, alsoSeen?: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  // A cluster that none of its nodes leads to: what the last of them said.
  const seen = [cause, alsoSeen].map(
    (error) => (error as { lastNodeError?: unknown } | undefined)?.lastNodeError ?? error,
  );
  const replied = seen.find(isReply);
  const reason = replied ?? seen[1] ?? cause;
  const message = reason instanceof Error ? reason.message : '';
  // The client attaches what was sent.
  if (reason instanceof Error && 'command' in reason) delete reason.command;
  if (message === 'Command timed out')
    return new StoreError('timeout', 'Valkey did not answer in time', { cause: reason });
  if (replied === undefined) {
    return new StoreError('unavailable', `Valkey cannot be reached: ${nameOf(reason)}`, { cause: reason });
  }
  const kind = kindOf(message);
  const code = WORDS.find(([words]) => words.test(message))?.[1] ?? CODES[kind] ?? 'unavailable';
  return new StoreError(code, `Valkey refused: ${kind}`, { cause: reason });
}

const nameOf = (error: unknown): string => {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message ?? error);
};
