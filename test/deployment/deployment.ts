import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Aws, type Credentials, createAws, createUser } from './aws.ts';
import { cdk } from './cdk.ts';
import './names.ts';
import { type Behind, certificateIn, findServerHost, startLocalAws } from './local-aws.ts';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export type Outputs = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The CDK app, deployed to a local AWS of its own, and an authorization server that uses it. */
export interface Deployment {
  readonly aws: Aws;
  readonly endpoint: string;
  /** Of the HTTP API, without a slash at its end. */
  readonly url: string;
  /** Address of Aurora, its proxy, and ElastiCache. */
  readonly serverHost: string;
  /** Every value that was issued or presented: none of them may stand in a log. */
  readonly values: Set<string>;
  /** Calls a store function, signed by the authorization server or by another caller. */
  store(method: string, path: string, body?: object, caller?: Credentials): Promise<Answer>;
  /** Deploys the APIs of another team, behind the authorizer, and gives the outputs. */
  deployProtectedApi(): Promise<Outputs>;
  destroyProtectedApi(): Promise<string>;
  /** Makes every store unreachable, and gives what makes them reachable again. */
  breakStores(): Promise<() => Promise<void>>;
  /** Runs the CDK's command line for all stacks of the app. */
  cdk(command: 'deploy' | 'diff' | 'destroy', ...options: string[]): Promise<string>;
  stop(): Promise<void>;
}

const folder = process.env.DEPLOYMENT_FOLDER ?? '';

/**
 * Starts a local AWS, bootstraps it, and deploys the app with this configuration.
 *
 * @param outage makes every store unreachable, and gives what makes them reachable again
 * @param behind the real servers behind those of AWS
 */
export async function deploy(
  name: string,
  configuration: object,
  outage: (aws: Aws) => Promise<() => Promise<void>>,
  behind?: Behind,
): Promise<Deployment> {
  const started = Date.now();
  const say = (text: string) => console.log(`${name}: ${text} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(configuration));
  const serverHost = await findServerHost();
  const local = await startLocalAws({ ...certificateIn(folder), ...(behind && { serverHost, behind }) });
  say('the local AWS is up');
  try {
    const app = join(folder, `${name}.out`);
    const context = [`configuration=${file}`, `name=${name}`, 'disposable=true'].flatMap((each) => ['-c', each]);
    const everything: Deployment['cdk'] = (command, ...options) =>
      cdk([command, '--all', ...context, '--output', app, ...options], local.env);
    const program = `${process.execPath} ${join(import.meta.dirname, 'protected-api.ts')}`;
    const orders = (command: string, ...options: string[]) =>
      cdk(
        [command, '--app', program, ...context, '--output', join(folder, `${name}-orders.out`), ...options],
        local.env,
      );
    await cdk(['bootstrap', 'aws://000000000000/us-east-1'], local.env, folder);
    say('bootstrapped');
    const outputs = join(folder, `${name}-outputs.json`);
    await everything('deploy', '--require-approval', 'never', '--outputs-file', outputs);
    say('deployed');
    const aws = createAws(local.endpoint);
    const url = urlIn(JSON.parse(readFileSync(outputs, 'utf8')));
    const api = new URL(url).hostname.split('.')[0];
    const server = await createUser(aws, 'authorization-server', [
      { Effect: 'Allow', Action: 'execute-api:Invoke', Resource: `arn:aws:execute-api:*:*:${api}/*/*/store/*` },
    ]);
    const values = new Set<string>();
    return {
      aws,
      endpoint: local.endpoint,
      url,
      serverHost,
      values,
      async store(method, path, body, caller = server) {
        const response = await createAws(url, caller).send('execute-api', path, {
          method,
          ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
        });
        const answer = (await response.json()) as Answer['body'];
        for (const given of [body, answer]) for (const value of valuesIn(given)) values.add(value);
        return { status: response.status, body: answer };
      },
      async deployProtectedApi() {
        const file = join(folder, `${name}-orders-outputs.json`);
        await orders('deploy', '--require-approval', 'never', '--outputs-file', file);
        return JSON.parse(readFileSync(file, 'utf8'));
      },
      destroyProtectedApi: () => orders('destroy', '--force'),
      breakStores: () => outage(aws),
      cdk: everything,
      stop: local.stop,
    };
  } catch (error) {
    await local.stop();
    throw error;
  }
}

/** The address of the HTTP API. */
function urlIn(outputs: Outputs): string {
  const values = Object.values(outputs).flatMap((stack) => Object.values(stack));
  const url = values.find((value) => /^https:\/\/\w+\.execute-api\./.test(value));
  if (url === undefined) throw new Error(`no address of an API among ${JSON.stringify(outputs)}`);
  return url;
}

const secretMembers = ['code', 'code_verifier', 'access_token', 'refresh_token', 'token'];

const valuesIn = (given: object = {}): string[] =>
  secretMembers.flatMap((member) => {
    const value: unknown = Reflect.get(given, member);
    return typeof value === 'string' ? [value] : [];
  });
