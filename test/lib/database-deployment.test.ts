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
  ['postgresql', 'Aurora', {}, ['database-connections-d']],
  ['postgresql', 'an instance', { postgresqlInstance: {} }, ['database-connections-d', 'database-storage-d']],
  ['mysql', 'Aurora', {}, ['database-connections-d']],
  ['mysql', 'an instance', { mysqlInstance: {} }, ['database-connections-d', 'database-storage-d']],
  ['mariadb', 'an instance', {}, ['database-connections-d', 'database-storage-d']],
] as const)('a deployment with a database of %s that it creates: %s', (engine, _, options, watched) => {
  const configuration: ConfigurationInput = {
    accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
    authorizationCodeStores: { codes: { storeIn: 'database', database: 'd' } },
    databases: { d: { engine } },
  };
  const location = { configuration, ...options };
  const app = new App({ context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
  const stacks = [new StoresStack(app, 'Data', location), new ServiceStack(app, 'Service', location)];
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

describe('what is said of an instance', () => {
  const refused = (options: object) => () => {
    const configuration: ConfigurationInput = {
      accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
      databases: { d: { engine: 'mysql' } },
    };
    new StoresStack(new App(), 'Data', { configuration, ...options });
  };

  it.each([
    [
      { mysqlInstance: { storageGigabytes: 19 } },
      'mysqlInstance.storageGigabytes: found a number; accepted: a whole number from 20 to 65536',
    ],
    [
      { mysqlInstance: { storageGigabytes: 1000, maxStorageGigabytes: 1099 } },
      'mysqlInstance.maxStorageGigabytes: found a number; accepted: a whole number from a tenth more than storageGigabytes, 1100, to 65536',
    ],
    [
      { mysqlInstance: { maxConnections: 0.5 } },
      'mysqlInstance.maxConnections: found a number; accepted: a whole number from 10 to 16000',
    ],
    [
      { mysqlInstance: {}, auroraMysql: { maxCapacity: 8 } },
      'auroraMysql: found an object; accepted: nothing beside mysqlInstance: a server is one or the other',
    ],
  ])('%o is refused in words', (options, words) => {
    expect(refused(options)).toThrow(words);
  });

  it('is taken as it is where it can be', () => {
    expect(refused({ mysqlInstance: { storageGigabytes: 400, maxConnections: 2000, multiAz: false } })).not.toThrow();
  });
});
