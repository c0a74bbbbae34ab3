import { generateKeyPairSync, sign } from 'node:crypto';
import type { TlsSettings } from './sql-settings.ts';

/**
 * The certificates of a connection as the driver takes them: one text (PEM) that it gives to TLS as authorities, as a
 * certificate and as its key, all three. So it refuses one with authorities alone; then a certificate that is made up on the
 * spot stands in, which no server takes for anybody. Nothing where the common authorities will do.
 */
export function walletOf({ ca, cert, key }: TlsSettings): string | undefined {
  if (ca === undefined && cert === undefined) return undefined;
  return [cert === undefined ? nobody() : `${cert}\n${key ?? ''}`, ca ?? ''].join('\n');
}

// DER: https://www.itu.int/rec/T-REC-X.690, the certificate of RFC 5280 §4.1.
const der = (tag: number, ...contents: Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const [SEQUENCE, SET, INTEGER, BITS, OBJECT, TEXT, TIME] = [0x30, 0x31, 0x02, 0x03, 0x06, 0x0c, 0x17];
const ECDSA_WITH_SHA256 = der(SEQUENCE, der(OBJECT, Buffer.from('2a8648ce3d040302', 'hex')));
const COMMON_NAME = der(OBJECT, Buffer.from('550403', 'hex'));

function nobody(): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(TEXT, Buffer.from('nobody')))));
  const ever = der(SEQUENCE, der(TIME, Buffer.from('000101000000Z')), der(TIME, Buffer.from('491231235959Z')));
  const version = der(0xa0, der(INTEGER, Buffer.from([2])));
  const serial = der(INTEGER, Buffer.from([1]));
  const subjectKey = publicKey.export({ type: 'spki', format: 'der' });
  const statement = der(SEQUENCE, version, serial, ECDSA_WITH_SHA256, name, ever, name, subjectKey);
  const signature = der(BITS, Buffer.from([0]), sign('sha256', statement, privateKey));
  const certificate = der(SEQUENCE, statement, ECDSA_WITH_SHA256, signature).toString('base64');
  return [
    `-----BEGIN CERTIFICATE-----\n${certificate.replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----`,
    privateKey.export({ type: 'pkcs8', format: 'pem' }),
  ].join('\n');
}
