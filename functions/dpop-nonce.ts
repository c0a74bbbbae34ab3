import { timingSafeEqual } from 'node:crypto';
import { type Clock, seconds } from './domain/clock.ts';
import type { Keyring } from './domain/keyring.ts';

/** The nonces of RFC 9449 §9: a MAC over the time under the deployment's keys, so that nothing is stored and every function knows them. */
export interface Nonces {
  current(): string;
  /** Epoch seconds at which a nonce that is good now will not be any more; nothing for any other value. */
  endOf(nonce: string): number | undefined;
}

/** @param period seconds after which there is a new one; each is good for this period and the next */
export function createNonces(keyring: Keyring, period: number, clock: Clock): Nonces {
  const nonceOf = (generation: number, index: number) =>
    keyring.mac(generation, 'check', 'DPoP nonce', '\0', `${period} ${index}`).toString('base64url');
  const index = () => Math.floor(seconds(clock) / period);
  return {
    current: () => nonceOf(keyring.current, index()),
    endOf(nonce) {
      const present = index();
      const presented = Buffer.from(nonce);
      for (const each of [present, present - 1]) {
        for (const generation of keyring.generations) {
          const good = Buffer.from(nonceOf(generation, each));
          if (good.length === presented.length && timingSafeEqual(good, presented)) return (each + 2) * period;
        }
      }
      return undefined;
    },
  };
}
