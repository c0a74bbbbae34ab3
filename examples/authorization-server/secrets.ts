import { createECDH, hkdfSync } from 'node:crypto';
import { AwsClient } from 'aws4fetch';

// What CloudFormation generated when the example was deployed, and nobody needs to know: text of AWS Secrets Manager.

/** @throws {Error} AWS Secrets Manager does not give it */
export async function readSecret(arn: string): Promise<string> {
  const { AWS_REGION = '', AWS_ENDPOINT_URL = `https://secretsmanager.${AWS_REGION}.amazonaws.com` } = process.env;
  const client = new AwsClient({
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? '',
    ...(process.env.AWS_SESSION_TOKEN && { sessionToken: process.env.AWS_SESSION_TOKEN }),
    service: 'secretsmanager',
    region: AWS_REGION,
  });
  const response = await client.fetch(AWS_ENDPOINT_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.GetSecretValue' },
    body: JSON.stringify({ SecretId: arn }),
  });
  if (!response.ok) throw new Error(`Secrets Manager answers ${response.status}`);
  const { SecretString } = (await response.json()) as { SecretString: string };
  return SecretString;
}

/**
 * The keys of the server, derived from one secret that has more than 256 bits of chance: so every instance of the function
 * has the same ones, and nothing but the secret must be kept. A new secret is a new set of keys: browsers have to sign in
 * again, and ID tokens that were signed before can no longer be verified; codes and tokens stay good. An earnest deployment
 * keeps a list of signing keys, and overlaps the old with the new.
 */
export function keysOf(secret: string) {
  const derived = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, '', purpose, 32));
  const key = createECDH('prime256v1');
  const d = derived('signing');
  key.setPrivateKey(d); // of all 2^256 values all but one in 2^32 are private keys of this curve
  const point = key.getPublicKey().subarray(1);
  const base64url = (bytes: Buffer) => bytes.toString('base64url');
  const signingKey = {
    kty: 'EC',
    crv: 'P-256',
    x: base64url(point.subarray(0, 32)),
    y: base64url(point.subarray(32)),
    d: base64url(d),
    use: 'sig',
    alg: 'ES256',
  } as const;
  return { signingKey, cookieKey: base64url(derived('cookies')) };
}
