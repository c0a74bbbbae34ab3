import { readFileSync } from 'node:fs';
import type { ConfigurationInput } from '../functions/config/configuration.ts';
import { ConfigurationError, type Fault, pathText } from '../functions/config/faults.ts';
import { isObject } from '../functions/config/fields.ts';

/** The sections whose servers functions may trust by certificates of their own. */
const SECTIONS = ['cassandra'] as const;
/** No secrets: a private key is never carried, since whoever may deploy may read what is deployed. */
const CERTIFICATES = ['trustedCertificates', 'clientCertificate'] as const;

type Tls = Partial<Record<(typeof CERTIFICATES)[number], string>>;

/**
 * A configuration with certificates in the place of their paths, so that functions, which have no files of this machine, carry
 * them in their configuration.
 *
 * @throws {ConfigurationError} files that cannot be read, or hold no certificate
 */
export function withCertificates(configuration: ConfigurationInput): ConfigurationInput {
  const faults: Fault[] = [];
  const carry = (path: readonly unknown[], file: string): string => {
    if (file.includes('-----BEGIN ')) return file;
    const text = textOf(file);
    if (text?.includes('-----BEGIN CERTIFICATE-----')) return text;
    const kind = text === undefined ? 'a file that cannot be read' : 'a file without a certificate';
    faults.push({ path: pathText(path), kind, accepted: 'the path of a PEM file with certificates' });
    return file;
  };
  const carried = (path: readonly unknown[], server: object): object => {
    if (!('tls' in server) || !isObject(server.tls)) return server;
    const tls: Tls = server.tls;
    const texts = CERTIFICATES.flatMap((name) => {
      const file = tls[name];
      return file === undefined ? [] : [[name, carry([...path, 'tls', name], file)]];
    });
    return { ...server, tls: { ...tls, ...Object.fromEntries(texts) } };
  };
  const sections = SECTIONS.flatMap((section) => {
    const servers = Object.entries<object>(configuration[section] ?? {});
    const changed = servers.map(([name, server]) => [name, carried([section, name], server)]);
    return servers.length > 0 ? [[section, Object.fromEntries(changed)]] : [];
  });
  if (faults.length > 0) throw new ConfigurationError(faults);
  return { ...configuration, ...Object.fromEntries(sections) };
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
