import { randomBytes } from 'node:crypto';
import type { CodeDeployment } from '../../functions/domain/authorization-codes.ts';
import type { Recognition } from '../../functions/domain/digest.ts';
import { type Issuing, issueTokens, type TokenDeployment } from '../../functions/domain/issuing.ts';
import { createKeyring, type Key } from '../../functions/domain/keyring.ts';
import type { AccessTokenStore, AuthorizationCodeStore } from '../../functions/domain/ports.ts';
import { type Authorization, createCodec } from '../../functions/domain/records.ts';
import { createEngine } from '../../functions/stores/memory.ts';
import { createVirtualClock } from '../conformance/index.ts';

export const newKey = (generation: number): Key => ({ generation, secret: randomBytes(32) });

export const newKeyring = (generation = 0) => createKeyring([newKey(generation)]);

/** The defaults of the configuration. */
const defaults: Issuing = {
  accessToken: { expiresIn: 3600, length: 54, type: 'Bearer' },
  refreshToken: { expiresIn: 43_200, length: 46, choice: 'new', graceSeconds: 10 },
  authorizationCode: { expiresIn: 600, length: 30 },
};

interface DeploymentOptions extends Partial<Recognition> {
  readonly seal?: boolean;
  readonly issuing?: { readonly [Section in keyof Issuing]?: Partial<Issuing[Section]> };
  readonly plainChallenges?: boolean;
}

/** Both kinds of store in a memory of their own, under a clock that stands still. */
export function createDeployment({
  keyring = newKeyring(),
  algorithm = 'SHA-256',
  foreign = false,
  seal = false,
  issuing = {},
  plainChallenges = false,
}: DeploymentOptions = {}) {
  const clock = createVirtualClock(1_800_000_000_000);
  const engine = createEngine({}, clock.nowMs);
  const shared = {
    recognition: { keyring, algorithm, foreign },
    codec: createCodec(keyring, seal),
    issuing: {
      accessToken: { ...defaults.accessToken, ...issuing.accessToken },
      refreshToken: { ...defaults.refreshToken, ...issuing.refreshToken },
      authorizationCode: { ...defaults.authorizationCode, ...issuing.authorizationCode },
    },
    clock: clock.nowMs,
  };
  const tokens: TokenDeployment = { ...shared, store: engine.accessTokens };
  const codes: CodeDeployment = { ...shared, store: engine.authorizationCodes, plainChallenges };
  return { clock, engine, keyring, tokens, codes };
}

/** A store that nobody may ask anything, but for these operations: every other call of it throws. */
export const unasked = <Store extends AccessTokenStore | AuthorizationCodeStore>(but: Partial<Store> = {}): Store =>
  new Proxy(but as Store, {
    get: (known, operation) =>
      Reflect.get(known, operation) ??
      (() => {
        throw new Error(`the store was asked to ${String(operation)}`);
      }),
  });

export const authorization: Authorization = {
  clientId: 'shop',
  subject: 'alice',
  applicationId: 'storefront',
  consentId: 'consent of alice',
  grantType: 'authorization_code',
  scopes: ['orders:read', 'orders:write'],
};

/** Tokens of a new grant, a refresh token among them. */
export async function issue(
  tokens: TokenDeployment,
  request: Partial<Parameters<typeof issueTokens>[1]> = {},
): Promise<{ accessToken: string; refreshToken: string; grantId: Uint8Array }> {
  const issued = await issueTokens(tokens, { authorization, refreshToken: true, ...request });
  if (issued === 'barred' || issued.refreshToken === undefined) throw new Error('no tokens were issued');
  return { ...issued, refreshToken: issued.refreshToken };
}

type WithOutcome<Result, Outcome> = Result extends { outcome: infer Possible }
  ? Outcome extends Possible
    ? Result
    : never
  : never;

/** The result, which must have this outcome. */
export function expectOutcome<Result extends { outcome: string }, const Outcome extends Result['outcome']>(
  result: Result,
  outcome: Outcome,
): WithOutcome<Result, Outcome> {
  if (result.outcome !== outcome) throw new Error(`the outcome is ${result.outcome}, not ${outcome}`);
  return result as WithOutcome<Result, Outcome>;
}

/** All texts that differ from `text` in one character of the token alphabet, or in its length or form. */
export function forgeriesOf(text: string): string[] {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.~ \n\0é'.split('');
  const places = [...text].map((_, index) => index);
  return [
    ...places.flatMap((at) =>
      letters.map((letter) => text.slice(0, at) + letter + text.slice(at + 1)).filter((forged) => forged !== text),
    ),
    ...places.map((at) => text.slice(0, at)),
    ...places.map((at) => text.slice(at + 1)),
    ...places.map((at) => text.slice(0, at) + text.slice(at + 1)),
    ...[`${text}A`, `A${text}`, `${text}=`, `${text}==`, ` ${text}`, `${text}\n`, text + text],
    ...[
      text.toLowerCase(),
      text.toUpperCase(),
      encodeURIComponent(`${text} `),
      Buffer.from(text).toString('base64url'),
    ],
    ...[Buffer.from(text, 'base64url').toString('hex'), Buffer.from(text, 'base64url').toString('base64')],
    text.replaceAll('-', '+').replaceAll('_', '/'),
  ].filter((forged) => forged !== text);
}
