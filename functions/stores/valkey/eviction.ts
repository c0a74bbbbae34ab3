import type { Connection } from './connection.ts';

const POLICY = /^maxmemory_policy:(\S+)/m;

/**
 * Tells of a server that removes keys when its memory is full, which may be live tokens, or what remembers that one was
 * revoked or redeemed. INFO says so, for CONFIG is refused in ElastiCache; a server that does not say is not told of.
 */
export async function tellOfEviction(connection: Connection, warn: (text: string) => void): Promise<void> {
  const sections = await connection.info('memory').catch(() => []);
  const policies = new Set(sections.flatMap((section) => POLICY.exec(section)?.[1] ?? []));
  policies.delete('noeviction');
  for (const policy of policies) {
    warn(
      `Valkey removes live tokens, and what remembers revocations and redemptions, when its memory is full (maxmemory-policy ${policy}); set noeviction, or where that cannot be set, as in ElastiCache Serverless, give it room and watch its evictions`,
    );
  }
}
