import type { Clock } from '../../functions/domain/clock.ts';
import type { Engine } from '../../functions/domain/ports.ts';
import type { Row } from '../../functions/stores/sql-dialect.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';
import type { StartedServer } from '../engines/engine.ts';

// A relational database whose server can be disturbed.

/** What is tested of an engine, and how its server is reached beside it. */
export interface Tested {
  readonly name: string;
  createEngine(settings: DatabaseSettings, clock: Clock): Engine | Promise<Engine>;
  applySchema(settings: DatabaseSettings): Promise<string[]>;
  /** Starts a server of its own, on which a commit survives a kill, and makes a database. */
  start(): Promise<{ readonly server: StartedServer; readonly settings: DatabaseSettings }>;
  /** A session of its own. */
  connect(settings: DatabaseSettings): Promise<Session>;
  /** Ends every connection to the database but the one that does it. */
  cut(settings: DatabaseSettings): Promise<void>;
  /** Bytes as they are written in a statement. */
  literal(bytes: Uint8Array): string;
  /** Lists the transactions that have changed something and are open. */
  readonly openWrites: string;
  /** Lists those that wait for a lock. */
  readonly waiting: string;
  /** What a caller is told of a call that the server ended in a deadlock, before it goes through. */
  readonly toldOfDeadlock: readonly string[];
}

export interface Session {
  query(text: string): Promise<readonly Row[]>;
  end(): Promise<unknown>;
}

/** A store on a server of its own. */
export interface Place {
  readonly engine: Engine;
  readonly settings: DatabaseSettings;
  readonly server: StartedServer;
}

const nowMs = () => Date.now();
export const clock = { now: () => Math.floor(Date.now() / 1000), nowMs, advance: () => {} };
export const onStage = (opened: Engine) => ({ ...opened, clock });

/** Starts a server with the schema, and a store on it. */
export async function startPlace({ start, applySchema, createEngine }: Tested): Promise<Place> {
  const { server, settings } = await start();
  await applySchema(settings);
  return { server, settings, engine: await createEngine(settings, nowMs) };
}

/** Runs with a store on a server of its own. */
export async function onServer(tested: Tested, work: (place: Place) => Promise<void>): Promise<void> {
  const place = await startPlace(tested);
  try {
    await work(place).finally(() => place.engine.close());
  } finally {
    await place.server.stop();
  }
}
