import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

// As much of the interface of Amazon Keyspaces as makes and describes tables
// (https://docs.aws.amazon.com/keyspaces/latest/APIReference/API_Operations.html): what it refuses, and that whatever it
// takes is done later.

type Json = ReturnType<typeof JSON.parse>;

interface Table {
  status: string;
  /** How often it is still asked for before it is ready. */
  busyFor: number;
  schemaDefinition: Json;
  ttl?: { status: string };
  pointInTimeRecovery?: { status: string };
}

export interface FakeKeyspacesService {
  readonly url: string;
  readonly keyspaces: Map<string, Map<string, Table>>;
  /** What was asked, with its Region. */
  readonly asked: { readonly action: string; readonly region: string; readonly body: Json }[];
  /** The name of the error that every call of this action is refused with. */
  readonly refusals: Map<string, string>;
  close(): Promise<void>;
}

class Refusal extends Error {}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** The Region that a request is signed for, by Signature Version 4; none where the signature is wrong. */
function signedRegion({ headers }: IncomingMessage, body: string, secret: string): string | undefined {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/((\d+)\/([^/]+)\/cassandra\/aws4_request), SignedHeaders=(.+), Signature=(.+)$/;
  const [, scope = '', , region, names = '', signature] = pattern.exec(String(headers.authorization)) ?? [];
  const signed = names.split(';').map((name) => `${name}:${headers[name]}\n`);
  const request = ['POST', '/', '', signed.join(''), names, sha256(body)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secret}`);
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(request)].join('\n');
  return hmac(key, text).toString('hex') === signature ? region : undefined;
}

const SETTINGS = ['addColumns', 'ttl', 'pointInTimeRecovery', 'clientSideTimestamps', 'capacitySpecification'];

/** Starts the service; whatever changes a table takes `busyFor` further looks at it. */
export async function startKeyspacesService(secret: string, busyFor = 2): Promise<FakeKeyspacesService> {
  const keyspaces = new Map<string, Map<string, Table>>();
  const asked: FakeKeyspacesService['asked'] = [];
  const refusals = new Map<string, string>();

  const tablesOf = (name: string) => {
    const tables = keyspaces.get(name);
    if (!tables) throw new Refusal('ResourceNotFoundException');
    return tables;
  };
  const tableOf = ({ keyspaceName, tableName }: Json) => {
    const table = tablesOf(keyspaceName).get(tableName);
    if (!table) throw new Refusal('ResourceNotFoundException');
    return table;
  };
  const actions: Record<string, (body: Json) => unknown> = {
    GetKeyspace: ({ keyspaceName }) => tablesOf(keyspaceName) && { keyspaceName, replicationStrategy: 'SINGLE_REGION' },
    CreateKeyspace: ({ keyspaceName }) => {
      if (keyspaces.has(keyspaceName)) throw new Refusal('ConflictException');
      keyspaces.set(keyspaceName, new Map());
    },
    CreateTable: ({ keyspaceName, tableName, ...definition }) => {
      const tables = tablesOf(keyspaceName);
      if (tables.has(tableName)) throw new Refusal('ConflictException');
      const { allColumns, partitionKeys, clusteringKeys = [], staticColumns = [] } = definition.schemaDefinition;
      const names = allColumns.map(({ name }: Json) => name);
      for (const { name } of [...partitionKeys, ...clusteringKeys, ...staticColumns]) {
        if (!names.includes(name)) throw new Refusal('ValidationException');
      }
      tables.set(tableName, { status: 'CREATING', busyFor, ...definition });
    },
    GetTable: (body) => {
      const table = tableOf(body);
      if (['CREATING', 'UPDATING'].includes(table.status) && table.busyFor-- <= 0) table.status = 'ACTIVE';
      const { busyFor: _, ...description } = table;
      return { ...body, ...description };
    },
    UpdateTable: ({ keyspaceName, tableName, ...settings }) => {
      const table = tableOf({ keyspaceName, tableName });
      if (table.status !== 'ACTIVE') throw new Refusal('ConflictException');
      const [setting = '', ...others] = Object.keys(settings);
      if (others.length > 0 || !SETTINGS.includes(setting)) throw new Refusal('ValidationException');
      Object.assign(table, { status: 'UPDATING', busyFor });
      if (setting !== 'addColumns') Object.assign(table, settings);
      else table.schemaDefinition.allColumns.push(...settings.addColumns);
    },
  };

  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const refuse = (__type: string) => {
      const status = __type === 'ResourceNotFoundException' ? 404 : __type === 'ConflictException' ? 409 : 400;
      response.writeHead(status).end(JSON.stringify({ __type, message: 'in the words of the service' }));
    };
    const region = signedRegion(request, text, secret);
    if (region === undefined) return refuse('InvalidSignatureException');
    if (request.headers['content-type'] !== 'application/x-amz-json-1.0') return refuse('UnknownOperationException');
    const [service, action = ''] = String(request.headers['x-amz-target']).split('.');
    const body = JSON.parse(text);
    asked.push({ action, region, body });
    const refusal = refusals.get(action) ?? (service === 'KeyspacesService' ? undefined : 'UnknownOperationException');
    if (refusal !== undefined) return refuse(refusal);
    try {
      response.end(JSON.stringify(actions[action]?.(body) ?? { resourceArn: 'arn' }));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse(error.message);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keyspaces,
    asked,
    refusals,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
