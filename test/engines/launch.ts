import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Database servers refuse to run as root; root starts them as `nobody`. */
const serverUser = process.getuid?.() === 0 ? 65534 : undefined;

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

// `setpriv` replaces itself with the program, so the child's pid is the program's own, and the kernel
// ends the program when this process ends, however that happens: no server outlives its run.
const bound = ([program, ...args]: Command, user: number | undefined): Command => {
  if (process.platform !== 'linux') return [program, ...args];
  const identity = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  return ['setpriv', '--pdeathsig=INT', ...identity, '--', program, ...args];
};

const start = (command: Command, user: number | undefined, options: Parameters<typeof spawn>[2]): ChildProcess => {
  const [program, ...args] = bound(command, user);
  return spawn(program, args, options);
};

const ended = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve(exitCode ?? 1));
  });

/** Runs a program to its end with this process's own standard streams and gives its exit code. */
export const runAttached = (command: Command, env: Readonly<Record<string, string>>): Promise<number> =>
  ended(start(command, undefined, { stdio: 'inherit', env: { ...process.env, ...env } }));

/**
 * Runs a program to its end and gives what it printed; throws with that when the program fails.
 * `asServer` runs it as the user that servers run as.
 */
export const run = async (
  command: Command,
  options: { asServer?: boolean; cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<string> => {
  const child = start(command, options.asServer ? serverUser : undefined, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const exitCode = await ended(child);
  if (exitCode !== 0) throw new Error(`${command.join(' ')} ended with exit code ${exitCode}:\n${output.trim()}`);
  return output;
};

type Cleanup = () => Promise<void>;
const cleanups = new Set<Cleanup>();

let watched = false;
const watchSignals = (): void => {
  if (watched) return;
  watched = true;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, async () => {
      // What was made last goes first: a server before its folder.
      for (const cleanup of [...cleanups].reverse()) await cleanup();
      process.kill(process.pid, signal);
    });
  }
};

/** Registers a cleanup for SIGINT, SIGTERM and SIGHUP and gives a function that does it earlier, once. */
const onEnd = (cleanup: Cleanup): Cleanup => {
  watchSignals();
  cleanups.add(cleanup);
  return async () => {
    if (cleanups.delete(cleanup)) await cleanup();
  };
};

/** A new folder for this run alone, of the user that servers run as. */
export const createScratchFolder = async (
  name: string,
): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  const path = await mkdtemp(join(tmpdir(), `${name}-`));
  const remove = onEnd(() => rm(path, { recursive: true, force: true }));
  await giveToServers(path);
  return { path, remove };
};

/** Makes a folder and what is in it the property of the user that servers run as. */
export const giveToServers = async (path: string): Promise<void> => {
  if (serverUser !== undefined) await run(['chown', '-R', `${serverUser}:${serverUser}`, path]);
};

/** A TCP port of the loopback address that was free a moment ago. */
export const findFreePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

export interface LaunchOptions {
  readonly command: Command;
  /** The server's folder, from `createScratchFolder`; what the server prints goes to `server.log` in it. */
  readonly folder: string;
  /** Whether this very process, and not a stranger on the same port, is ready for its first client. */
  readonly isReady: (pid: number) => Promise<boolean>;
  /** The signal that makes the server end at once and in order. */
  readonly stopSignal: NodeJS.Signals;
  readonly readyWithinMs?: number;
  /** The whole of the server's environment; without it, this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the server runs as this process's own user: one that may read this checkout and its folder. */
  readonly asSelf?: boolean;
}

/**
 * Starts a server in the background, as the user that servers run as, waits until it is ready, and gives what
 * stops it. It also stops at SIGINT, SIGTERM and SIGHUP of this process.
 */
export const launch = async (options: LaunchOptions): Promise<() => Promise<void>> => {
  const { command, folder, isReady, stopSignal, readyWithinMs = 60_000, env, asSelf = false } = options;
  const logFile = join(folder, 'server.log');
  const log = openSync(logFile, 'a');
  const user = asSelf ? undefined : serverUser;
  const child = start(command, user, { stdio: ['ignore', log, log], cwd: folder, ...(env && { env }) });
  closeSync(log);
  let alive = true;
  const end = ended(child)
    .catch(() => {}) // a program that could not be started is one that is not alive
    .finally(() => {
      alive = false;
    });
  const stop = onEnd(async () => {
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    child.kill(stopSignal);
    await end;
    clearTimeout(killer);
  });

  const deadline = Date.now() + readyWithinMs;
  while (alive && Date.now() < deadline) {
    if (child.pid !== undefined && (await isReady(child.pid))) return stop;
    await sleep(25);
  }
  const reason = alive ? `was not ready within ${readyWithinMs} ms` : 'ended before it was ready';
  await stop();
  const lines = (await readFile(logFile, 'utf8')).trim().split('\n');
  throw new Error(`${command[0]} ${reason}:\n${lines.slice(-20).join('\n')}`);
};
