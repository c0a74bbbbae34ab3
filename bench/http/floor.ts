/** The floor over HTTP: one prepared SELECT for each request, and nothing else. */
import pg from 'pg';
import { serve } from './serve.ts';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8, idleTimeoutMillis: 0 });
pool.on('error', () => {});
const statement = { name: 'select', text: 'SELECT k, grant_id, n, scope, payload FROM bare WHERE k = $1' };

serve(async ({ url = '' }, response) => {
  const key = Buffer.from(url.slice('/?k='.length), 'base64url');
  const { rows } = await pool.query<{ n: string; scope: string }>({ ...statement, values: [key] });
  const [{ n, scope } = { n: '', scope: '' }] = rows;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ n, scope }));
});
