import { describe, expect, it } from 'vitest';
import type { Aws } from './aws.ts';
import type { Deployment } from './deployment.ts';
import { issueTokens } from './store-functions.ts';

/** The stacks that are there, but for the CDK's own. */
async function stacksOf(aws: Aws): Promise<string[]> {
  const xml = await aws.query('cloudformation', 'DescribeStacks');
  return [...xml.matchAll(/<StackName>([^<]*)<\/StackName>/g)].flatMap(([, name = '']) =>
    name === 'CDKToolkit' ? [] : [name],
  );
}

type Names = readonly Readonly<Record<string, string>>[];

/** What stacks can leave behind, by kind and name, but for the CDK's own. */
async function resourcesOf(aws: Aws): Promise<string[]> {
  const listed = async (service: string, target: string, list: string, name = '') => {
    const answer = await aws.json<Record<string, Names>>(service, target, {});
    return (answer[list] ?? []).map((each) => `${list} ${name === '' ? each : each[name]}`);
  };
  const rest = async (service: string, path: string, list: string, name: string) => {
    const response = await aws.send(service, path);
    const answer = (await response.json()) as Record<string, Names>;
    return (answer[list] ?? []).map((each) => `${list} ${each[name]}`);
  };
  const roles = await aws.query('iam', 'ListRoles');
  const found = await Promise.all([
    listed('dynamodb', 'DynamoDB_20120810.ListTables', 'TableNames'),
    listed('events', 'AWSEvents.ListRules', 'Rules', 'Name'),
    listed('sqs', 'AmazonSQS.ListQueues', 'QueueUrls'),
    listed('ssm', 'AmazonSSM.DescribeParameters', 'Parameters', 'Name'),
    listed('secretsmanager', 'secretsmanager.ListSecrets', 'SecretList', 'Name'),
    listed('monitoring', 'GraniteServiceVersion20100801.DescribeAlarms', 'MetricAlarms', 'AlarmName'),
    rest('lambda', '/2015-03-31/functions/', 'Functions', 'FunctionName'),
    rest('apigateway', '/v2/apis', 'items', 'name'),
    rest('apigateway', '/restapis', 'item', 'name'),
    [...roles.matchAll(/<RoleName>([^<]*)<\/RoleName>/g)].map(([, name]) => `Roles ${name}`),
  ]);
  return found.flat().filter((each) => !/^\w+ \/?cdk-/.test(each));
}

interface LogGroup {
  readonly logGroupName: string;
  readonly retentionInDays?: number;
}

/** Comes last: in the end nothing is left. */
export const lifecycle = (deployment: Deployment) =>
  describe('the deployment', () => {
    it('changes nothing when nothing has changed', async () => {
      const output = await deployment.cdk('deploy', '--require-approval', 'never');
      expect(output.match(/\(no changes\)/g)).toHaveLength((await stacksOf(deployment.aws)).length - 1);
      await deployment.cdk('diff', '--fail');
    });

    it('replaces its key in two steps, and the tokens of the former stay good', async () => {
      const generationOf = (token: string) => 'ABCDEFGH'.indexOf(token.charAt(16));
      const former = await issueTokens(deployment);
      expect(generationOf(former.access_token)).toBe(0);
      await deployment.cdk('deploy', '--require-approval', 'never', '-c', 'keys=0,1');
      await deployment.cdk('deploy', '--require-approval', 'never', '-c', 'keys=0,1', '-c', 'currentKey=1');
      const latter = await issueTokens(deployment);
      expect(generationOf(latter.access_token)).toBe(1);
      for (const { access_token } of [former, latter]) {
        const { body } = await deployment.store('POST', '/store/tokens/lookup', { token: access_token });
        expect(body).toMatchObject({ active: true });
      }
    });

    it('goes away whole, but for logs, which end by themselves', async () => {
      const { aws } = deployment;
      await deployment.destroyProtectedApi();
      await deployment.cdk('destroy', '--force');
      expect(await stacksOf(aws)).toEqual([]);
      expect(await resourcesOf(aws)).toEqual([]);
      const { logGroups } = await aws.json<{ logGroups: LogGroup[] }>('logs', 'Logs_20140328.DescribeLogGroups', {});
      expect(logGroups.filter(({ retentionInDays = 0 }) => retentionInDays === 0)).toEqual([]);
    });
  });
