import { createHash, createHmac } from 'node:crypto';
import type { Clock } from '../../domain/clock.ts';
import { StoreError } from '../../domain/errors.ts';
import type { Credentials } from './authentication.ts';

// How Amazon Keyspaces is told who asks: AWS Signature Version 4 over a number that the service gives, in place of a
// password. https://docs.aws.amazon.com/keyspaces/latest/devguide/programmatic.credentials.html

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface Signing {
  readonly region: string;
  /** Asked for every connection: those of a role end. */
  readonly credentials: () => AwsCredentials | Promise<AwsCredentials>;
  readonly clock: Clock;
}

const EXPIRES_SECONDS = 900;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** The answer to a challenge, `nonce=…` and perhaps more behind a comma. */
export function signed(challenge: string, credentials: AwsCredentials, region: string, nowMs: number): string {
  const nonce = /(?:^|,)nonce=([^,]*)/.exec(challenge)?.[1];
  if (nonce === undefined) throw new StoreError('unsupported', 'the server asks for something else than a signature');
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const time = new Date(nowMs).toISOString();
  const day = time.slice(0, 10).replaceAll('-', '');
  const scope = `${day}/${region}/cassandra/aws4_request`;
  const query = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scope}`)}`,
    `X-Amz-Date=${encodeURIComponent(time)}`,
    `X-Amz-Expires=${EXPIRES_SECONDS}`,
  ].join('&');
  const request = ['PUT', '/authenticate', query, 'host:cassandra', '', 'host', sha256(nonce)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(request)].join('\n')).toString('hex');
  const session = sessionToken === undefined ? '' : `,session_token=${sessionToken}`;
  return `signature=${signature},access_key=${accessKeyId},amzdate=${time}${session}`;
}

export const awsCredentials = ({ region, credentials, clock }: Signing): Credentials => ({
  initial: async () => Buffer.from('SigV4\0\0'),
  answer: async (challenge) => Buffer.from(signed(challenge.toString(), await credentials(), region, clock())),
});
