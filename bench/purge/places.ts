import type { Engine } from '../../functions/domain/ports.ts';
import type { DatabaseSettings } from '../../functions/stores/sql-settings.ts';

/** A store by its engine and what opens it: told to the process that purges. */
export interface Place {
  readonly engine: keyof typeof engines;
  readonly settings: DatabaseSettings & { readonly connectionString?: string };
}

const engines = {
  postgresql: () => import('../../functions/stores/postgresql.ts'),
  mysql: () => import('../../functions/stores/mysql.ts'),
  mariadb: () => import('../../functions/stores/mariadb.ts'),
};

/** Opens the stores of a place, with so many connections, which stay open. */
export async function openPlace({ engine, settings }: Place, connections: number): Promise<Engine> {
  const { createEngine } = await engines[engine]();
  const pool = { maxActive: connections, maxIdle: connections, idleEvictionMs: 0 };
  return createEngine({ ...settings, pool }, Date.now);
}
