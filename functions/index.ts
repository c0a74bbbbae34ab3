// The package's main entry: stores by name, the rules over them, and what their errors mean.
export { type Checked, type Configuration, parseConfiguration, readConfiguration } from './config/configuration.ts';
export { ConfigurationError, type Fault } from './config/faults.ts';
export type { StoreKind } from './config/functions.ts';
export { fromEnvironment } from './deployed.ts';
export {
  type CodeDeployment,
  type CodeRequest,
  createCode,
  type ExchangeOutcome,
  type ExchangeRequest,
  exchangeCode,
} from './domain/authorization-codes.ts';
export { type Clock, systemClock } from './domain/clock.ts';
export type { DigestAlgorithm, Recognition } from './domain/digest.ts';
export { InputError, StoreError, type StoreErrorCode } from './domain/errors.ts';
export {
  type ActiveToken,
  type Inspection,
  inspectAccessToken,
  inspectRefreshToken,
  inspectToken,
  revokeToken,
  type TokenTypeHint,
} from './domain/inspection.ts';
export {
  type IssuedTokens,
  type IssueRequest,
  type Issuing,
  issueTokens,
  type MintedToken,
  newAttempt,
  type RefreshChoice,
  type TokenDeployment,
} from './domain/issuing.ts';
export { createKeyring, type Key, type Keyring } from './domain/keyring.ts';
export type * from './domain/ports.ts';
export type { Attributes, Authorization, Codec, Confirmation, Json } from './domain/records.ts';
export { type RefreshOutcome, type RefreshRequest, refreshTokens } from './domain/refresh.ts';
export { scopesSuffice } from './domain/scope.ts';
export { type GrantId, grantIdOfCode, mint, newGrantId, type Proof, prove, type TokenKind } from './domain/token.ts';
export { type OpenOptions, openStores, type Stores } from './open-stores.ts';
export { passwordFromAws } from './password-from-aws.ts';
