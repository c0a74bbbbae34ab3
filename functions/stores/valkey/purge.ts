import type { PurgeReport } from '../../domain/ports.ts';
import type { Connection } from './connection.ts';

/** Keys with an end, `db0:keys=9,expires=8,avg_ttl=…`, and what part of them has passed it, as the server's own sweep found. */
const EXPIRING = /^db\d+:keys=\d+,expires=(\d+)/gm;
const STALE = /^expired_stale_perc:([\d.]+)/m;

/**
 * Nothing is left to a purge: the server removes a key at its end, and shows it to nobody after that. What it has not swept
 * from its memory yet, it estimates itself; the number is of all that the cache holds.
 */
export const createPurge = (connection: Connection) => async (): Promise<PurgeReport> => {
  const [keyspaces, statistics] = await Promise.all([connection.info('keyspace'), connection.info('stats')]);
  const records = keyspaces.reduce((sum, keyspace, node) => {
    const expiring = [...keyspace.matchAll(EXPIRING)].reduce((keys, [, count]) => keys + Number(count), 0);
    return sum + (expiring * Number(STALE.exec(statistics[node] ?? '')?.[1] ?? 0)) / 100;
  }, 0);
  return { removed: {}, more: false, backlog: { records: Math.round(records), precision: 'estimated' } };
};
