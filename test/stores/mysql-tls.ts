import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TlsSettings } from '../../functions/stores/sql-settings.ts';
import { createScratchFolder, giveToServers, run } from '../engines/launch.ts';
import type { ServerSettings } from '../engines/mysql.ts';
import type { Start } from './mysql-faults.ts';
import { query, settingsOf, type Tested } from './mysql-server.ts';

// TLS and passwords of MySQL and MariaDB, on a real server.

const now = () => Math.floor(Date.now() / 1000);

export function describeTls(
  { name: engine, createEngine, applySchema }: Tested,
  start: Start,
  withoutTls: ServerSettings,
): void {
  /** How a look-up over a new connection goes. */
  const outcome = async (url: string, tls: TlsSettings, password: string | (() => string) = 'Mellon') => {
    const opened = createEngine({ ...settingsOf(url, 'oauth'), user: 'tester', password, tls }, Date.now);
    try {
      await opened.clientAccessTokens.get('client', 'key', { now: now() });
      return 'accepted';
    } catch (error) {
      const { code, message, cause } = error as Error & { code: string };
      return `${code}: ${(cause as Error | undefined)?.message ?? message}`;
    } finally {
      await opened.close();
    }
  };
  const prepared = async (settings: ServerSettings) => {
    const server = await start(settings);
    const root = settingsOf(server.url);
    await query(root, 'CREATE DATABASE oauth', `CREATE USER tester@'%' IDENTIFIED BY 'Mellon'`);
    await query(root, `GRANT ALL ON oauth.* TO tester@'%'`);
    await applySchema(settingsOf(server.url, 'oauth'));
    return server;
  };

  describe(`${engine}: TLS`, () => {
    it('a server is refused unless one that is trusted signed its certificate, for its name', async () => {
      const folder = await createScratchFolder('certificates');
      const file = (name: string) => join(folder.path, name);
      const options = ['-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=db.test'];
      const made = ['-addext', 'subjectAltName=DNS:db.test', '-keyout', file('key.pem'), '-out', file('cert.pem')];
      await run(['openssl', 'req', '-x509', ...options, ...made]);
      await giveToServers(folder.path);
      const server = await prepared({ 'ssl-cert': file('cert.pem'), 'ssl-key': file('key.pem') });
      try {
        const ca = readFileSync(file('cert.pem'), 'utf8');
        expect(await outcome(server.url, { servername: 'db.test' })).toMatch(/^unavailable: self-signed certificate/);
        expect(await outcome(server.url, { ca, servername: 'other.test' })).toMatch(/^unavailable: .*altnames/);
        expect(await outcome(server.url, { ca })).toMatch(/^invalid: TLS with 127\.0\.0\.1 needs `serverName`/);
        const asked: string[] = [];
        const password = () => `Mellon${asked.push('asked') > 1 ? '!' : ''}`;
        expect(await outcome(server.url, { ca, servername: 'db.test' }, password)).toBe('accepted');
        expect(await outcome(server.url, { ca, servername: 'db.test' }, password)).toMatch(
          /^unavailable: Access denied/,
        );
        expect(asked).toHaveLength(3); // once more where it was refused
      } finally {
        await server.stop();
        await folder.remove();
      }
    });

    it('a server without it is refused', async () => {
      const server = await prepared(withoutTls);
      try {
        expect(await outcome(server.url, { servername: 'db.test' })).toMatch(/^unavailable: .*secure connection/);
      } finally {
        await server.stop();
      }
    });
  });
}
