import { afterAll, describe } from 'vitest';
import { alarms } from './alarms.ts';
import { authorizers } from './authorizers.ts';
import type { Aws } from './aws.ts';
import { configurationOf } from './configuration.ts';
import { deploy } from './deployment.ts';
import { lifecycle } from './lifecycle.ts';
import { logs } from './logs.ts';
import { dynamodbPermissions } from './permissions.ts';
import { purging } from './purging.ts';
import { standardEndpoints } from './standard-endpoints.ts';
import { storeFunctions } from './store-functions.ts';

const configuration = configurationOf('dynamodb');
// DynamoDB removes what has expired within days; here the purge does it, in time for the test to see.
configuration.caches['OAuth Artifact Cache'].nativeTimeToLive = false;

/** No function may use DynamoDB any more. */
async function outage(aws: Aws): Promise<() => Promise<void>> {
  const response = await aws.send('lambda', '/2015-03-31/functions/?MaxItems=100');
  const { Functions } = (await response.json()) as { Functions: { Role: string }[] };
  const roles = new Set(Functions.map(({ Role }) => Role.split('/').at(-1) ?? ''));
  const statement = { Effect: 'Deny', Action: 'dynamodb:*', Resource: '*' };
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  for (const RoleName of roles)
    await aws.query('iam', 'PutRolePolicy', { RoleName, PolicyName: 'outage', PolicyDocument });
  return async () => {
    for (const RoleName of roles) await aws.query('iam', 'DeleteRolePolicy', { RoleName, PolicyName: 'outage' });
  };
}

const deployment = await deploy('dynamodb', configuration, outage);
afterAll(deployment.stop);

describe('on DynamoDB', () => {
  storeFunctions(deployment);
  standardEndpoints(deployment);
  authorizers(deployment);
  purging(deployment);
  dynamodbPermissions(deployment);
  alarms(deployment);
  logs(deployment);
  lifecycle(deployment);
});
