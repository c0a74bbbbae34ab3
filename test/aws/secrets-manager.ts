import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

// AWS Secrets Manager as its API reference describes the calls of a rotation
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/): versions, their labels, what is refused. The local AWS of
// test/deployment has no rotation, and overwrites a version that is there.

interface Version {
  text?: string;
  readonly stages: Set<string>;
}
interface Secret {
  readonly versions: Map<string, Version>;
  rotates: boolean;
}
type Body = Readonly<Record<string, unknown>>;

class Refusal extends Error {}

/** What each call may say. */
const fields: Readonly<Record<string, readonly string[]>> = {
  DescribeSecret: ['SecretId'],
  GetSecretValue: ['SecretId', 'VersionId', 'VersionStage'],
  GetRandomPassword: ['PasswordLength', 'ExcludePunctuation'],
  PutSecretValue: ['SecretId', 'ClientRequestToken', 'SecretString', 'VersionStages'],
  UpdateSecretVersionStage: ['SecretId', 'VersionStage', 'MoveToVersionId', 'RemoveFromVersionId'],
};

export interface SecretsManager {
  readonly url: string;
  /** Every call so far, by its name and what it said. */
  readonly calls: readonly { readonly action: string; readonly body: Body }[];
  /** A secret with one version, which rotates. */
  create(secretId: string, value: object): void;
  /** What calls read now. */
  current(secretId: string): Record<string, unknown>;
  /** How many versions it has ever had. */
  versionsOf(secretId: string): number;
  /** A version that is asked for, as RotateSecret makes it: empty, and pending. */
  begin(secretId: string): string;
  /** Takes it back, as CancelRotateSecret and UpdateSecretVersionStage do. */
  cancel(secretId: string, version: string): void;
  setRotation(secretId: string, rotates: boolean): void;
  close(): Promise<void>;
}

export async function startSecretsManager(): Promise<SecretsManager> {
  const secrets = new Map<string, Secret>();
  const calls: { action: string; body: Body }[] = [];
  const secretOf = (id: unknown): Secret => {
    const secret = secrets.get(String(id));
    if (!secret) throw new Refusal('ResourceNotFoundException');
    return secret;
  };
  const holderOf = ({ versions }: Secret, stage: string) => [...versions].find(([, { stages }]) => stages.has(stage));
  const move = (secret: Secret, stage: string, to: string) => {
    holderOf(secret, stage)?.[1].stages.delete(stage);
    secret.versions.get(to)?.stages.add(stage);
  };
  const actions: Readonly<Record<string, (body: Body) => object>> = {
    DescribeSecret({ SecretId }) {
      const { versions, rotates } = secretOf(SecretId);
      const staged = [...versions].filter(([, { stages }]) => stages.size > 0);
      return {
        RotationEnabled: rotates,
        VersionIdsToStages: Object.fromEntries(staged.map(([id, { stages }]) => [id, [...stages]])),
      };
    },
    GetSecretValue({ SecretId, VersionId, VersionStage = 'AWSCURRENT' }) {
      const secret = secretOf(SecretId);
      const [id, version] = holderOf(secret, String(VersionStage)) ?? [];
      if (version?.text === undefined || (VersionId !== undefined && id !== VersionId))
        throw new Refusal('ResourceNotFoundException');
      return { VersionId: id, SecretString: version.text, VersionStages: [...version.stages] };
    },
    GetRandomPassword({ PasswordLength, ExcludePunctuation }) {
      if (ExcludePunctuation !== true) throw new Refusal('InvalidParameterException');
      const text = `aA1${randomBytes(200)
        .toString('base64')
        .replaceAll(/[^A-Za-z0-9]/g, '')}`;
      return { RandomPassword: text.slice(0, Number(PasswordLength)) };
    },
    PutSecretValue({ SecretId, ClientRequestToken, SecretString, VersionStages }) {
      const secret = secretOf(SecretId);
      const id = String(ClientRequestToken);
      const version = secret.versions.get(id) ?? { stages: new Set<string>() };
      if (version.text !== undefined && version.text !== SecretString) throw new Refusal('ResourceExistsException');
      version.text = String(SecretString);
      secret.versions.set(id, version);
      for (const stage of VersionStages as string[]) move(secret, stage, id);
      return { VersionId: id };
    },
    UpdateSecretVersionStage({ SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId }) {
      const secret = secretOf(SecretId);
      const [from] = holderOf(secret, String(VersionStage)) ?? [];
      if (from !== undefined && from !== RemoveFromVersionId) throw new Refusal('InvalidParameterException');
      if (VersionStage === 'AWSCURRENT' && from !== undefined) move(secret, 'AWSPREVIOUS', from);
      move(secret, String(VersionStage), String(MoveToVersionId));
      return {};
    },
  };
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as Body;
    const action = String(request.headers['x-amz-target']).replace(/^secretsmanager\./, '');
    calls.push({ action, body });
    try {
      if (!/^AWS4-HMAC-SHA256 .*\/secretsmanager\/aws4_request/.test(request.headers.authorization ?? ''))
        throw new Refusal('MissingAuthenticationToken');
      const known = fields[action];
      if (!known || Object.keys(body).some((field) => !known.includes(field))) throw new Refusal('ValidationException');
      response.end(JSON.stringify(actions[action]?.(body)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response.writeHead(400).end(JSON.stringify({ __type: error.message, message: 'words of the service' }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    create(secretId, value) {
      const version = { text: JSON.stringify(value), stages: new Set(['AWSCURRENT']) };
      secrets.set(secretId, { versions: new Map([[randomUUID(), version]]), rotates: true });
    },
    current: (secretId) => JSON.parse(holderOf(secretOf(secretId), 'AWSCURRENT')?.[1].text ?? ''),
    versionsOf: (secretId) => secretOf(secretId).versions.size,
    begin(secretId) {
      const secret = secretOf(secretId);
      const [pending, { stages } = { stages: new Set() }] = holderOf(secret, 'AWSPENDING') ?? [];
      if (pending !== undefined && !stages.has('AWSCURRENT')) throw new Error('a rotation is in progress');
      const version = randomUUID();
      secret.versions.set(version, { stages: new Set() });
      move(secret, 'AWSPENDING', version);
      return version;
    },
    cancel: (secretId, version) => secretOf(secretId).versions.get(version)?.stages.delete('AWSPENDING'),
    setRotation(secretId, rotates) {
      secretOf(secretId).rotates = rotates;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
