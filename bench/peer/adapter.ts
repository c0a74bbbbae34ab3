import type { Adapter, AdapterPayload } from 'oidc-provider';
import type pg from 'pg';

// An adapter for oidc-provider as it is usually written for PostgreSQL: one table, the payload as JSON, the value itself
// as the key, every call a statement. Prepared, since that costs nothing and helps.

export const schema = `
CREATE TABLE oidc (
  type        text NOT NULL,
  id          text NOT NULL,
  payload     jsonb NOT NULL,
  grant_id    text,
  user_code   text,
  uid         text,
  expires_at  timestamptz,
  consumed_at timestamptz,
  PRIMARY KEY (type, id)
);
CREATE INDEX oidc_grant_id ON oidc (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX oidc_user_code ON oidc (user_code) WHERE user_code IS NOT NULL;
CREATE INDEX oidc_uid ON oidc (uid) WHERE uid IS NOT NULL;
CREATE INDEX oidc_expires_at ON oidc (expires_at);`;

interface Row {
  readonly payload: AdapterPayload;
  readonly expires_at: Date | null;
  readonly consumed_at: Date | null;
}

export function adapterOver(pool: pg.Pool): (type: string) => Adapter {
  const find = async (column: string, type: string, value: string): Promise<AdapterPayload | undefined> => {
    const text = `SELECT payload, expires_at, consumed_at FROM oidc WHERE type = $1 AND ${column} = $2`;
    const { rows } = await pool.query<Row>({ name: `find by ${column}`, text, values: [type, value] });
    const [row] = rows;
    if (!row || (row.expires_at && row.expires_at.getTime() <= Date.now())) return undefined;
    return { ...row.payload, ...(row.consumed_at && { consumed: Math.floor(row.consumed_at.getTime() / 1000) }) };
  };
  return (type) => ({
    async upsert(id, payload, expiresIn) {
      await pool.query({
        name: 'upsert',
        text: `INSERT INTO oidc (type, id, payload, grant_id, user_code, uid, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
          ON CONFLICT (type, id) DO UPDATE SET payload = $3, grant_id = $4, user_code = $5, uid = $6, expires_at = $7`,
        values: [
          ...[
            type,
            id,
            JSON.stringify(payload),
            payload.grantId ?? null,
            payload.userCode ?? null,
            payload.uid ?? null,
          ],
          expiresIn ? new Date(Date.now() + expiresIn * 1000) : null,
        ],
      });
    },
    find: (id) => find('id', type, id),
    findByUid: (uid) => find('uid', type, uid),
    findByUserCode: (userCode) => find('user_code', type, userCode),
    async consume(id) {
      const text = 'UPDATE oidc SET consumed_at = now() WHERE type = $1 AND id = $2';
      await pool.query({ name: 'consume', text, values: [type, id] });
    },
    async destroy(id) {
      await pool.query({ name: 'destroy', text: 'DELETE FROM oidc WHERE type = $1 AND id = $2', values: [type, id] });
    },
    async revokeByGrantId(grantId) {
      await pool.query({ name: 'revoke', text: 'DELETE FROM oidc WHERE grant_id = $1', values: [grantId] });
    },
  });
}
