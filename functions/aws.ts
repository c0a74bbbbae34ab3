import { AwsClient, AwsV4Signer } from 'aws4fetch';
import { keyContext } from './config/keys.ts';
import { InputError, StoreError } from './domain/errors.ts';
import type { CacheLogin, Server } from './open-stores.ts';

// What functions and their deployment ask of AWS beside their stores, over HTTPS with Signature Version 4: some calls that
// do not earn the load time of an SDK client each.

/** Milliseconds that one answer may take: KMS and Secrets Manager answer within some tens. */
const TIMEOUT_MS = 3000;
const RETRIES = 2;

const variable = (name: string): string => {
  const value = process.env[name];
  if (value) return value;
  throw new InputError(
    `environment variable ${name}`,
    'not set',
    'what AWS Lambda sets it to, or `aws configure export-credentials --format env` prints',
  );
};

const credentials = () => ({
  accessKeyId: variable('AWS_ACCESS_KEY_ID'),
  secretAccessKey: variable('AWS_SECRET_ACCESS_KEY'),
  ...(process.env.AWS_SESSION_TOKEN && { sessionToken: process.env.AWS_SESSION_TOKEN }),
});

/** The services that are asked, by the names that they are signed for, and the version of JSON that each speaks. */
const services = { kms: '1.1', secretsmanager: '1.1', ssm: '1.1', cassandra: '1.0' } as const;

/**
 * The answer of an AWS service with a JSON protocol (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html), in the
 * Region of the environment or in another.
 *
 * @throws {StoreError} `throttled`, `unavailable` or `timeout`; `unsupported`: refused, with the name of the error and
 *   never its text, which may repeat what was sent
 */
export async function callAws(
  service: keyof typeof services,
  target: string,
  body: object,
  region = variable('AWS_REGION'),
): Promise<Record<string, unknown>> {
  const endpoint = process.env.AWS_ENDPOINT_URL ?? `https://${service}.${region}.amazonaws.com`;
  const client = new AwsClient({ ...credentials(), service, region, retries: RETRIES });
  try {
    const response = await client.fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': `application/x-amz-json-${services[service]}`, 'x-amz-target': target },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (response.ok) return answer;
    const name = String(answer.__type).split('#').at(-1);
    if (response.status === 429 || name === 'ThrottlingException')
      throw new StoreError('throttled', `${target}: ${name}`);
    throw new StoreError(response.status < 500 ? 'unsupported' : 'unavailable', `${target}: ${name}`);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    const late = cause instanceof Error && cause.name === 'TimeoutError';
    throw new StoreError(late ? 'timeout' : 'unavailable', `${target} got no answer`, { cause });
  }
}

/** Whether a service refused a call with the error of this name. */
export const isRefusal = (error: unknown, name: string): boolean =>
  error instanceof StoreError && error.message.endsWith(`: ${name}`);

/** A URL signed for 15 minutes, without its scheme: what AWS takes as a password. Nothing is sent for it. */
async function presigned(service: string, url: URL, datetime: string | undefined): Promise<string> {
  url.searchParams.set('X-Amz-Expires', '900');
  const signer = new AwsV4Signer({
    ...credentials(),
    service,
    region: variable('AWS_REGION'),
    url: url.href,
    signQuery: true,
    ...(datetime !== undefined && { datetime }),
  });
  return (await signer.sign()).url.href.replace(/^https:\/\//, '');
}

/**
 * What to give to a database as the password of `user`: a token of AWS IAM
 * (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html).
 */
export function databaseToken({ host, port, user }: Server, datetime?: string): Promise<string> {
  const url = new URL(`https://${host}:${port}/`);
  url.searchParams.set('Action', 'connect');
  url.searchParams.set('DBUser', user);
  return presigned('rds-db', url, datetime);
}

/**
 * What to give to a cache of Amazon ElastiCache as the password of `user`, whose id is this name too: a token of AWS IAM
 * (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html). It is for the cache's name, not for its host.
 */
export function cacheToken({ cacheName, serverless, user }: CacheLogin, datetime?: string): Promise<string> {
  const url = new URL(`https://${cacheName}/`);
  url.searchParams.set('Action', 'connect');
  if (serverless) url.searchParams.set('ResourceType', 'ServerlessCache');
  url.searchParams.set('User', user);
  return presigned('elasticache', url, datetime);
}

/** What a secret of AWS Secrets Manager lets in: its text, or the fields `password` and, if it has one, `username` of its JSON. */
export async function secretLogin(secretArn: string): Promise<{ user?: string; password: string }> {
  const { SecretString } = await callAws('secretsmanager', 'secretsmanager.GetSecretValue', { SecretId: secretArn });
  const login = loginIn(String(SecretString ?? ''));
  if (login.password === '')
    throw new InputError('the secret of the database', 'without a password', 'text, or JSON with one');
  return login;
}

/** Its password alone, of a user who is known. */
export const secretPassword = async (secretArn: string): Promise<string> => (await secretLogin(secretArn)).password;

function loginIn(secret: string): { user?: string; password: string } {
  try {
    const { username, password } = JSON.parse(secret);
    if (typeof password !== 'string') return { password: secret };
    return { ...(typeof username === 'string' && { user: username }), password };
  } catch {
    return { password: secret };
  }
}

/** The data key that KMS wrapped as `wrapped`, base64. */
export async function unwrapKey(generation: number, wrapped: string): Promise<Buffer> {
  const { Plaintext } = await callAws('kms', 'TrentService.Decrypt', {
    CiphertextBlob: wrapped,
    EncryptionContext: keyContext(generation),
  });
  return Buffer.from(String(Plaintext), 'base64');
}
