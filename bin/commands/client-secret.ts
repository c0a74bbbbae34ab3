import { randomBytes } from 'node:crypto';
import { secretDigest } from '../../functions/domain/clients.ts';

/** Prints a new secret, for the client alone, and its digest, for `secretDigests`. Nothing keeps the secret. */
export function clientSecret(): void {
  const secret = randomBytes(32).toString('base64url');
  console.log(`secret  ${secret}\ndigest  ${secretDigest(secret)}`);
}
