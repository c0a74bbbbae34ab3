import { App, type Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import type { ConfigurationInput } from '../../functions/config/configuration.ts';
import { functionNames } from '../../functions/config/functions.ts';
import { ServiceStack, type ServiceStackProps } from '../../lib/service-stack.ts';
import { oneOfEach } from './fake-stores.ts';

const name = 'tokens';
const configuration: ConfigurationInput = {
  ...oneOfEach,
  authorizer: { dpop: {}, tokenFrom: ['authorization'] },
  clients: { api: { secretDigests: [`sha256:${'A'.repeat(43)}`], mayIntrospect: true } },
};

/** The stack as it is synthesized with every check that refuses a template. */
function synthesized(props: Partial<ServiceStackProps> = {}): { stack: ServiceStack; template: Template } {
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const stack = new ServiceStack(app, 'Service', { configuration, name, ...props });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return { stack, template: Template.fromStack(stack) };
}

const { stack, template } = synthesized();
const propertiesOf = (type: string) => Object.values(template.findResources(type)).map((each) => each.Properties);
const certificateOf = (scope: Stack) =>
  Certificate.fromCertificateArn(scope, 'Certificate', 'arn:aws:acm:eu-central-1:111122223333:certificate/0');

describe('the stateless part of a deployment', () => {
  it('has every function, the authorizer and the purge among them', () => {
    const handlers = propertiesOf('AWS::Lambda::Function').map(({ Handler }) => Handler);
    expect(handlers.toSorted()).toEqual(functionNames.map((each) => `${each}.handler`).toSorted());
    expect([...stack.api.functions.values(), stack.authorizer?.function, stack.purge.runs[0]?.function]).toHaveLength(
      functionNames.length,
    );
  });

  it('keeps nothing but logs and what was given up', () => {
    const kept = Object.values(template.toJSON().Resources as Record<string, { Type: string }>)
      .map(({ Type }) => Type)
      .filter((type) => /DynamoDB|RDS|S3|SecretsManager|Cassandra|ElastiCache/.test(type));
    expect(kept).toEqual([]);
  });

  it('watches the tables and databases of its stores', () => {
    const { template: both } = synthesized({
      configuration: {
        ...configuration,
        clientAccessTokenStores: { received: { storeIn: 'database', database: 'db' } },
        databases: { db: { engine: 'postgresql' } },
      },
    });
    const alarms = Object.values(both.findResources('AWS::CloudWatch::Alarm')).map(({ Properties }) => Properties);
    const watched = (metric: string) => JSON.stringify(alarms.filter(({ MetricName }) => MetricName === metric));
    expect(watched('ThrottledRequests') + watched('ReadThrottleEvents')).toContain('tableName');
    expect(watched('DatabaseConnectionsBorrowLatency')).toContain('proxyName');
  });

  it('is tied to other stacks by parameters alone', () => {
    expect(JSON.stringify(template.toJSON())).not.toContain('Fn::ImportValue');
    expect(Object.values(template.findOutputs('*')).filter(({ Export }) => Export)).toEqual([]);
    const published = propertiesOf('AWS::SSM::Parameter').map(({ Name }) => Name);
    expect(published.toSorted()).toEqual(['/tokens/api/url', '/tokens/authorizer/function-arn']);
  });

  it('gives each function its stores, and every one its own role', () => {
    const roles = propertiesOf('AWS::Lambda::Function').map(({ Role }) => JSON.stringify(Role));
    expect(new Set(roles).size).toBe(functionNames.length);
    const actions = (handler: string) => {
      const [fn] = propertiesOf('AWS::Lambda::Function').filter(({ Handler }) => Handler === handler);
      const policies = propertiesOf('AWS::IAM::Policy').filter(({ Roles }) =>
        JSON.stringify(Roles).includes(fn?.Role['Fn::GetAtt'][0]),
      );
      return policies
        .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
        .flatMap(({ Action }) => Action)
        .filter((action: string) => action.startsWith('dynamodb:'));
    };
    expect(actions('issue-tokens.handler')).toContain('dynamodb:PutItem');
    expect(actions('lookup-token.handler')).toContain('dynamodb:GetItem');
    for (const action of actions('lookup-token.handler')) expect(action).toMatch(/^dynamodb:(Get|BatchGet|Query)/);
    expect(actions('purge.handler')).not.toContain('dynamodb:GetItem');
  });

  it('hands what it is told of its parts on to them', () => {
    const app = new App();
    const own = new ServiceStack(app, 'Own', {
      configuration: { ...configuration, accessTokenStores: {}, authorizer: {} },
      name: 'other',
      api: {
        domain: {
          name: 'tokens.example.com',
          certificate: certificateOf(new ServiceStack(app, 'Of', { configuration })),
        },
      },
      purge: { scheduler: 'scheduler', reserveConcurrency: false },
      monitoring: { prefix: 'mine' },
      memorySize: 1024,
    });
    expect(own.stackName).toBe('other-service');
    expect(own.authorizer).toBeUndefined();
    const parts = Template.fromStack(own);
    parts.resourceCountIs('AWS::Scheduler::Schedule', 1);
    parts.resourceCountIs('AWS::ApiGatewayV2::DomainName', 1);
    parts.allResourcesProperties('AWS::Lambda::Function', { MemorySize: 1024 });
    for (const { Properties } of Object.values(parts.findResources('AWS::CloudWatch::Alarm'))) {
      expect(Properties.AlarmName).toMatch(/^mine-/);
    }
  });
});
