import { AwsClient } from 'aws4fetch';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** AWS refused: with this code. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/** Calls of AWS services by one caller. */
export interface Aws {
  /** A request signed for this service; `path` begins with /. */
  send(service: string, path: string, init?: RequestInit): Promise<Response>;
  /** A service with a JSON protocol: DynamoDB, KMS, CloudWatch… */
  json<Answer = Record<string, unknown>>(service: string, target: string, body: object): Promise<Answer>;
  /** A service with the query protocol: IAM, STS, CloudFormation. The answer is XML. */
  query(service: string, action: string, parameters?: Readonly<Record<string, string>>): Promise<string>;
}

/** The account's own credentials on the local AWS. */
const root: Credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

const versions: Readonly<Record<string, string>> = {
  iam: '2010-05-08',
  sts: '2011-06-15',
  cloudformation: '2010-05-15',
};

export function createAws(endpoint: string, credentials: Credentials = root): Aws {
  const send: Aws['send'] = (service, path, init) =>
    new AwsClient({ ...credentials, service, region: 'us-east-1', retries: 0 }).fetch(`${endpoint}${path}`, init ?? {});
  return {
    send,
    async json<Answer>(service: string, target: string, body: object) {
      const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target };
      const response = await send(service, '/', { method: 'POST', headers, body: JSON.stringify(body) });
      const text = await response.text();
      const answer = text.startsWith('{') ? JSON.parse(text) : {};
      if (response.ok) return answer as Answer;
      throw new AwsError(String(answer.__type).split('#').at(-1) ?? '', `${target}: ${text}`);
    },
    async query(service, action, parameters = {}) {
      const body = `${new URLSearchParams({ Action: action, Version: versions[service] ?? '', ...parameters })}`;
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const response = await send(service, '/', { method: 'POST', headers, body });
      const xml = await response.text();
      if (response.ok) return xml;
      throw new AwsError(textOf(xml, 'Code'), `${action}: ${xml}`);
    },
  };
}

/** The text of the first element of this name. */
export const textOf = (xml: string, element: string): string =>
  new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1] ?? '';

/** A user of IAM with this policy alone, who signs with a key of his own. */
export async function createUser(aws: Aws, name: string, statements: readonly object[]): Promise<Credentials> {
  await aws.query('iam', 'CreateUser', { UserName: name });
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  if (statements.length > 0)
    await aws.query('iam', 'PutUserPolicy', { UserName: name, PolicyName: 'test', PolicyDocument: policy });
  const xml = await aws.query('iam', 'CreateAccessKey', { UserName: name });
  return { accessKeyId: textOf(xml, 'AccessKeyId'), secretAccessKey: textOf(xml, 'SecretAccessKey') };
}

/** What a role of IAM may do, tried by one who takes it on: its trust is extended to the account for that. */
export async function assumeRole(aws: Aws, arn: string): Promise<Credentials> {
  const trust = { Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' };
  await aws.query('iam', 'UpdateAssumeRolePolicy', {
    RoleName: arn.split('/').at(-1) ?? '',
    PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [trust] }),
  });
  const xml = await aws.query('sts', 'AssumeRole', { RoleArn: arn, RoleSessionName: 'test' });
  return {
    accessKeyId: textOf(xml, 'AccessKeyId'),
    secretAccessKey: textOf(xml, 'SecretAccessKey'),
    sessionToken: textOf(xml, 'SessionToken'),
  };
}
