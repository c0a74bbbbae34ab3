import { scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Uint8Array, number, Buffer>(scrypt); // at Node's own cost, which is the configuration's

/** What the password of an unknown user is compared with, so that the time it takes does not tell who is known. */
const NOBODY = `scrypt:${Buffer.alloc(16).toString('base64url')}:${Buffer.alloc(32).toString('base64url')}`;

/** Whether a password is the one of this `passwordDigest`; without one, after the same work, it is not. */
export async function passwordMatches(passwordDigest: string | undefined, password: string): Promise<boolean> {
  const [salt = '', digest = ''] = (passwordDigest ?? NOBODY)
    .split(':')
    .slice(1)
    .map((part) => Buffer.from(part, 'base64url'));
  const computed = await derive(password.normalize('NFC'), Buffer.from(salt), 32);
  return timingSafeEqual(computed, Buffer.from(digest)) && passwordDigest !== undefined;
}
