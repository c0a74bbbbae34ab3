import type { RemovalPolicy } from 'aws-cdk-lib';
import { CustomDataIdentifier, DataProtectionPolicy, LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Configuration } from '../functions/config/configuration.ts';

export interface LogOptions {
  /** Default: three months. */
  readonly retention?: RetentionDays;
  /** What becomes of the logs when their stack goes. Default: they stay until they expire. */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A log group that shows nobody what looks like a token: CloudWatch masks it for everyone without `logs:Unmask`. The second
 * line of defence; the first is that functions log names and codes alone.
 */
export const tokenLogGroup = (
  scope: Construct,
  id: string,
  issuing: Configuration['issuing'],
  { retention = RetentionDays.THREE_MONTHS, removalPolicy }: LogOptions = {},
): LogGroup =>
  new LogGroup(scope, id, {
    retention,
    ...(removalPolicy && { removalPolicy }),
    dataProtectionPolicy: new DataProtectionPolicy({
      name: 'oauth2-stores',
      description: 'Masks what looks like a token',
      identifiers: Object.entries(tokenPatterns(issuing)).map(([name, regex]) => new CustomDataIdentifier(name, regex)),
    }),
  });

/**
 * Expressions for what this configuration issues, and for signed tokens of others, within what CloudWatch takes
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL-custom-data-identifiers.html: no parentheses, at most 200
 * characters).
 *
 * A token is a run of so many letters, digits, `_` and `-`. The boundary `\b` knows no `-`, so one at either end is outside
 * of it; ids of requests and traces, which are of the same characters, have no boundary at such a distance.
 */
export function tokenPatterns({ accessToken, refreshToken, authorizationCode }: Configuration['issuing']) {
  const run = (length: number) => `-?\\b[A-Za-z0-9_-]{${length - 1},${length}}\\b-?`;
  return {
    AccessToken: run(accessToken.length),
    RefreshToken: run(refreshToken.length),
    AuthorizationCode: run(authorizationCode.length),
    SignedToken: 'eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+',
  };
}
