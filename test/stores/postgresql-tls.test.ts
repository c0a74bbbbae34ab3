import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { connectionOf, type PostgresqlSettings } from '../../functions/stores/postgresql-connection.ts';
import { applySchema } from '../../functions/stores/postgresql-schema.ts';
import { createScratchFolder, giveToServers, run } from '../engines/launch.ts';
import { startPostgresql } from '../engines/postgresql.ts';

const namesIn = (bundle: string) =>
  bundle.match(/-----BEGIN[\s\S]+?END CERTIFICATE-----/g)?.map((pem) => new X509Certificate(pem).subject) ?? [];

describe('who is trusted', () => {
  const authoritiesFor = async (host: string, tls: NonNullable<PostgresqlSettings['tls']> = {}) => {
    const { ssl } = await connectionOf({ host, tls });
    expect(ssl).toMatchObject({ rejectUnauthorized: true });
    return ssl && 'ca' in ssl ? ssl.ca : undefined;
  };

  it('a server of Amazon RDS is known by the authorities of its Region, and by no others', async () => {
    const names = namesIn(String(await authoritiesFor('db.cluster-abc123.eu-central-1.rds.amazonaws.com')));
    expect(names.length).toBeGreaterThanOrEqual(3);
    for (const name of names) expect(name).toContain('Amazon RDS eu-central-1 ');
    expect(names.join()).toContain('RSA2048');
    expect(await authoritiesFor('db.cluster-abc123.eu-central-1.rds.amazonaws.com', { ca: 'given' })).toBe('given');
  });

  it('an RDS Proxy is known by a common authority, which Node.js has', async () => {
    expect(await authoritiesFor('app.proxy-abc123.eu-central-1.rds.amazonaws.com')).toBeUndefined();
    expect(await authoritiesFor('db.example')).toBeUndefined();
    expect(await authoritiesFor('db.eu-central-1.rds.amazonaws.com.example')).toBeUndefined();
    const known = namesIn(rootCertificates.join('\n')).join();
    for (const name of [1, 2, 3, 4].map((number) => `CN=Amazon Root CA ${number}`)) expect(known).toContain(name);
  });
});

const isServed = process.platform === 'linux' && process.arch === 'x64';
const onServed = isServed ? describe : () => {};

onServed('a server with TLS', async () => {
  const folder = await createScratchFolder('certificates');
  const file = (name: string) => join(folder.path, name);
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=db.test', '-addext', 'subjectAltName=DNS:db.test'];
  await run(['openssl', 'req', '-x509', ...options, ...subject, '-keyout', file('key.pem'), '-out', file('cert.pem')]);
  await chmod(file('key.pem'), 0o600);
  await giveToServers(folder.path);
  const server = await startPostgresql('18', {
    ssl: 'on',
    ssl_cert_file: file('cert.pem'),
    ssl_key_file: file('key.pem'),
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });
  const { hostname, port, username } = new URL(server.url);
  const connect = (tls: NonNullable<PostgresqlSettings['tls']>) =>
    applySchema({ host: hostname, port: Number(port), user: username, database: 'postgres', tls });
  const ca = readFileSync(file('cert.pem'), 'utf8');

  it('is refused unless one that is trusted signed its certificate, for its name', async () => {
    const refusal = (tls: NonNullable<PostgresqlSettings['tls']>) =>
      connect(tls).then(
        () => 'accepted',
        (error) => `${error.code}: ${error.cause.message}`,
      );
    expect(await refusal({ servername: 'db.test' })).toMatch(/^unavailable: self-signed certificate/);
    const { ssl } = await connectionOf({ host: 'x.cluster-y.eu-west-1.rds.amazonaws.com', tls: {} });
    const ofRds = String(ssl && 'ca' in ssl && ssl.ca);
    expect(await refusal({ ca: ofRds, servername: 'db.test' })).toMatch(/^unavailable: self-signed certificate/);
    expect(await refusal({ ca })).toMatch(/^unavailable: Hostname\/IP does not match/);
    expect(await refusal({ ca, servername: 'db.test' })).toBe('accepted');
  });
});
