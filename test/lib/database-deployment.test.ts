import { App, type Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import type { ConfigurationInput } from '../../functions/config/configuration.ts';
import { ServiceStack } from '../../lib/service-stack.ts';
import { StoresStack } from '../../lib/stores-stack.ts';

// Both stacks of a deployment, for each engine whose servers it creates.

type Json = ReturnType<typeof JSON.parse>;

describe.each([
  ['postgresql', ['database-connections-d']],
  ['mysql', ['database-connections-d']],
  ['mariadb', ['database-connections-d', 'database-storage-d']],
] as const)('a deployment with a database of %s that it creates', (engine, watched) => {
  const configuration: ConfigurationInput = {
    accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
    authorizationCodeStores: { codes: { storeIn: 'database', database: 'd' } },
    databases: { d: { engine } },
  };
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const stacks = [new StoresStack(app, 'Data', { configuration }), new ServiceStack(app, 'Service', { configuration })];
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

  it('is without findings of cdk-nag and of CloudFormation’s own validation', () => {
    expect(() => app.synth()).not.toThrow();
  });

  it('watches the server, and ties no stack to the other', () => {
    const [, service] = stacks.map((stack: Stack) => Template.fromStack(stack));
    const alarms: Json[] = Object.values(service?.findResources('AWS::CloudWatch::Alarm') ?? {});
    const names = alarms.map(({ Properties }) => String(Properties.AlarmName).replace(/^.*?(?=database-)/, ''));
    expect(names.filter((name) => name.startsWith('database-')).toSorted()).toEqual(watched);
    expect(JSON.stringify(service?.toJSON())).not.toContain('Fn::ImportValue');
  });
});
