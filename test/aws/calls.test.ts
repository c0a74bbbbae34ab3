import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { callAws, secretPassword, unwrapKey } from '../../functions/aws.ts';
import { readKeyring } from '../../functions/keys.ts';
import { passwordFromAws } from '../../functions/password-from-aws.ts';

// A server of our own in the place of AWS, which answers as the services document it.

interface Question {
  readonly target: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
}

let answer: (question: Question, response: ServerResponse) => void;
const questions: Question[] = [];
let server: Server;

const hear = async (request: IncomingMessage, response: ServerResponse) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { 'x-amz-target': target, authorization } = request.headers;
  const question = { target: target?.toString(), authorization, body: JSON.parse(Buffer.concat(chunks).toString()) };
  questions.push(question);
  answer(question, response);
};

beforeEach(async () => {
  questions.length = 0;
  server = createServer(hear);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const answers = (status: number, body: object) => {
  answer = (_question, response) => response.writeHead(status).end(JSON.stringify(body));
};

describe('a call of AWS', () => {
  it('is signed for its service and Region, and names its target', async () => {
    answers(200, { Parameter: { Value: 'text' } });
    expect(await callAws('ssm', 'AmazonSSM.GetParameter', { Name: 'n' })).toEqual({ Parameter: { Value: 'text' } });
    expect(questions[0]?.target).toBe('AmazonSSM.GetParameter');
    expect(questions[0]?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/\d{8}\/eu-central-1\/ssm\/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=[0-9a-f]{64}$/,
    );
  });

  it.each([
    [400, 'AccessDeniedException', 'unsupported'],
    [400, 'com.amazonaws.kms#ThrottlingException', 'throttled'],
    [429, 'TooManyRequestsException', 'throttled'],
    [500, 'KMSInternalException', 'unavailable'],
  ])('that is answered with %i %s fails as %s, without the words of the service', async (status, __type, code) => {
    answers(status, { __type, message: 'the words of the service' });
    const error = await callAws('kms', 'TrentService.Decrypt', {}).catch((reason: Error) => reason);
    expect(error).toMatchObject({ name: 'StoreError', code });
    expect(String(error)).toContain(__type.split('#').at(-1));
    expect(String(error)).not.toContain('words');
  });

  it('is repeated when the service fails for a moment', async () => {
    let failures = 2;
    answer = (_question, response) =>
      failures-- > 0 ? response.writeHead(503).end('{}') : response.writeHead(200).end('{"done":true}');
    expect(await callAws('kms', 'TrentService.Decrypt', {})).toEqual({ done: true });
  });

  it('that nobody answers is unavailable', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1');
    await expect(callAws('kms', 'TrentService.Decrypt', {})).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('without the variables that AWS Lambda sets says which is missing', async () => {
    vi.stubEnv('AWS_REGION', '');
    await expect(callAws('kms', 'TrentService.Decrypt', {})).rejects.toThrow('AWS_REGION');
  });
});

describe('a secret', () => {
  it.each([
    ['the password itself', 'p@ss"word', 'p@ss"word'],
    ['JSON with the field password', '{"username":"u","password":"p"}', 'p'],
    ['a password that is JSON by chance', '12345', '12345'],
  ])('is read as %s', async (_what, SecretString, password) => {
    answers(200, { SecretString });
    expect(await secretPassword('arn:aws:secretsmanager:x')).toBe(password);
    expect(questions[0]?.body).toEqual({ SecretId: 'arn:aws:secretsmanager:x' });
  });

  it('is whom it lets in where its ARN stands, and a signed token where IAM does', async () => {
    answers(200, { SecretString: '{"username":"u","password":"p"}' });
    expect(await passwordFromAws({ secretArn: 'arn:aws:secretsmanager:x' })).toEqual({ user: 'u', password: 'p' });
    const token = await passwordFromAws({ iam: true, host: 'db.example', port: 5432, user: 'oauth_reader' });
    expect(token).toMatch(/^db\.example:5432\/\?Action=connect&DBUser=oauth_reader&.*X-Amz-Signature=/);
    expect(questions).toHaveLength(1);
  });

  it('without a text is refused', async () => {
    answers(200, { SecretBinary: 'AA==' });
    await expect(secretPassword('arn:aws:secretsmanager:x')).rejects.toThrow('the secret of the database');
  });
});

describe('wrapped keys', () => {
  const plain = (generation: number) => Buffer.alloc(32, generation + 1);
  const kms = () => {
    answer = ({ body: { CiphertextBlob, EncryptionContext } }, response) => {
      const { generation } = EncryptionContext as Record<string, string>;
      const matches = CiphertextBlob === Buffer.from(`wrapped ${generation}`).toString('base64');
      if (matches) response.end(JSON.stringify({ Plaintext: plain(Number(generation)).toString('base64') }));
      else response.writeHead(400).end('{"__type":"InvalidCiphertextException"}');
    };
  };
  const wrapped = (generation: number) => Buffer.from(`wrapped ${generation}`).toString('base64');

  it('are unwrapped by KMS, each bound to its generation', async () => {
    kms();
    expect(await unwrapKey(3, wrapped(3))).toEqual(plain(3));
    await expect(unwrapKey(4, wrapped(3))).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('make the keyring that the keys themselves make', async () => {
    kms();
    const ring = await readKeyring(JSON.stringify({ current: 1, wrapped: { 0: wrapped(0), 1: wrapped(1) } }));
    const keys = { 0: plain(0).toString('base64url'), 1: plain(1).toString('base64url') };
    const same = await readKeyring(JSON.stringify({ current: 1, keys }));
    expect(ring.generations).toEqual([1, 0]);
    for (const generation of [0, 1]) {
      expect(ring.mac(generation, 'check', 'x')).toEqual(same.mac(generation, 'check', 'x'));
    }
    expect(questions).toHaveLength(2);
  });

  it('that KMS does not unwrap make no keyring', async () => {
    kms();
    await expect(readKeyring(JSON.stringify({ current: 0, wrapped: { 0: wrapped(1) } }))).rejects.toMatchObject({
      name: 'StoreError',
    });
  });
});
