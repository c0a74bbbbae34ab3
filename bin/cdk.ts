/**
 * `npx cdk deploy --all`: two stacks, the one that keeps tokens and the one that serves them. Context, with `-c key=value`:
 *
 * - `configuration`: path of oauth-stores.json
 * - `name`: of the deployment; stacks and parameters are named for it
 * - `keys`: the generations of the data key, such as `0,1`; `currentKey`: the one under which tokens are made
 * - `disposable=true`: for a trial: what is created goes when its stack does, with all tokens
 */
import { App, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ConfigurationError } from '../functions/config/faults.ts';
import { ServiceStack } from '../lib/service-stack.ts';
import { StoresStack } from '../lib/stores-stack.ts';

const app = new App();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

const context = (key: string): string => String(app.node.tryGetContext(key) ?? '');
const location = { configuration: context('configuration'), name: context('name') };
const generations = context('keys').split(',').map(Number);
const disposable = context('disposable') === 'true';

try {
  const data = new StoresStack(app, 'Data', {
    ...location,
    keys: { generations, current: Number(context('currentKey')) },
    ...(disposable && {
      removalPolicy: RemovalPolicy.DESTROY,
      deletionProtection: false,
      terminationProtection: false,
    }),
  });
  const service = new ServiceStack(app, 'Service', {
    ...location,
    ...(disposable && { logs: { removalPolicy: RemovalPolicy.DESTROY } }),
  });
  service.addStackDependency(data);
} catch (error) {
  if (!(error instanceof ConfigurationError) && !isMissing(error)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function isMissing(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
