import { App, type Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { InstanceType } from 'aws-cdk-lib/aws-ec2';
import { OracleEngineVersion } from 'aws-cdk-lib/aws-rds';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it } from 'vitest';
import type { ConfigurationInput } from '../../functions/config/configuration.ts';
import { ServiceStack } from '../../lib/service-stack.ts';
import { StoresStack } from '../../lib/stores-stack.ts';

// Both stacks of a deployment, for each engine whose servers it creates.

type Json = ReturnType<typeof JSON.parse>;

const passwordAlarms = ['database-connections-d', 'database-storage-d', 'password-rotation-d'];

const client = { db2: { clientLayer: 'arn:aws:lambda:eu-central-1:111122223333:layer:db2-client:1' } };
const ids = { ibmCustomerId: '1234567', ibmSiteId: '1234567890' };
const marketplace = { license: 'marketplace-license' } as const;

describe.each([
  ['postgresql', 'Aurora', {}, ['database-connections-d']],
  ['postgresql', 'an instance', { postgresqlInstance: {} }, ['database-connections-d', 'database-storage-d']],
  ['mysql', 'Aurora', {}, ['database-connections-d']],
  ['mysql', 'an instance', { mysqlInstance: {} }, ['database-connections-d', 'database-storage-d']],
  ['mariadb', 'an instance', {}, ['database-connections-d', 'database-storage-d']],
  ['sqlserver', 'an instance', {}, passwordAlarms],
  ['oracle', 'an instance', {}, passwordAlarms],
  ['db2', 'an instance with a licence of yours', { ...client, db2Instance: ids }, passwordAlarms],
  ['db2', 'an instance with one of AWS Marketplace', { ...client, db2Instance: marketplace }, passwordAlarms],
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
    const names = alarms.map(({ Properties }) =>
      String(Properties.AlarmName).replace(/^.*?(?=database-|password-)/, ''),
    );
    expect(names.filter((name) => /^(database|password)-/.test(name)).toSorted()).toEqual(watched);
    expect(JSON.stringify(service?.toJSON())).not.toContain('Fn::ImportValue');
  });
});

describe('what is said of an instance', () => {
  const refused = (engine: string, options: object, database?: string) => () => {
    const configuration = {
      accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
      databases: { d: { engine, ...(database !== undefined && { database }) } },
    } as ConfigurationInput;
    new StoresStack(new App(), 'Data', { configuration, ...options });
  };
  const of = (name: string) => new InstanceType(name);

  it.each([
    [
      'mysql',
      { mysqlInstance: { storageGigabytes: 19 } },
      'mysqlInstance.storageGigabytes: found a number; accepted: a whole number from 20 to 65536',
    ],
    [
      'mysql',
      { mysqlInstance: { storageGigabytes: 1000, maxStorageGigabytes: 1099 } },
      'mysqlInstance.maxStorageGigabytes: found a number; accepted: a whole number from 1100 to 65536: a tenth more than storageGigabytes, or above',
    ],
    [
      'mysql',
      { mysqlInstance: { maxConnections: 0.5 } },
      'mysqlInstance.maxConnections: found a number; accepted: a whole number from 10 to 16000',
    ],
    [
      'mysql',
      { mysqlInstance: {}, auroraMysql: { maxCapacity: 8 } },
      'auroraMysql: found an object; accepted: nothing beside mysqlInstance: a server is one or the other',
    ],
    [
      'postgresql',
      { postgresqlInstance: {}, aurora: {} },
      'aurora: found an object; accepted: nothing beside postgresqlInstance: a server is one or the other',
    ],
    [
      'sqlserver',
      { sqlserverInstance: { passwordDays: 0 } },
      'sqlserverInstance.passwordDays: found a number; accepted: a whole number from 1 to 1000',
    ],
    [
      'sqlserver',
      { sqlserverInstance: { edition: 'developer' } },
      'sqlserverInstance.edition: found another one; accepted: enterprise, standard, web or express',
    ],
    [
      'sqlserver',
      { sqlserverInstance: { edition: 'express' } },
      'sqlserverInstance.multiAz: found true, the default; accepted: false: the edition express has no standby',
    ],
    [
      'sqlserver',
      { sqlserverInstance: { edition: 'enterprise', instanceType: of('m6i.large') } },
      'sqlserverInstance.instanceType: found m6i.large; accepted: m6i.xlarge or larger, for the edition enterprise',
    ],
    [
      'sqlserver',
      { sqlserverInstance: { instanceType: of('m7g.large') } },
      'sqlserverInstance.instanceType: found m7g.large; accepted: one of x86_64: there is no SQL Server for ARM',
    ],
    ['sqlserver', {}, 'databases["d"].database: found text; accepted: letters, digits and _, a letter first', "it's"],
    ['oracle', { oracleInstance: { edition: 'se' } }, 'oracleInstance.edition: found another one; accepted: se2 or ee'],
    [
      'oracle',
      { oracleInstance: { edition: 'ee', license: 'license-included' } },
      'oracleInstance.license: found another one; accepted: bring-your-own-license, for the edition ee',
    ],
    [
      'oracle',
      { oracleInstance: { instanceType: of('m5.8xlarge') } },
      'oracleInstance.instanceType: found m5.8xlarge; accepted: 4xlarge at most, for the edition se2',
    ],
    [
      'oracle',
      { oracleInstance: { version: OracleEngineVersion.VER_21 } },
      'oracleInstance.version: found 21; accepted: 19: later ones are of container databases alone',
    ],
    [
      'oracle',
      {},
      'databases["d"].database: found text; accepted: up to 8 letters and digits, a letter first',
      'oauth_tokens',
    ],
    [
      'db2',
      client,
      'db2Instance.ibmCustomerId: found nothing; accepted: IBM’s id of the customer, digits: it stands on the Proof of Entitlement; or license: marketplace-license',
    ],
    [
      'db2',
      { ...client, db2Instance: { ...ids, ibmSiteId: 'mine' } },
      'db2Instance.ibmSiteId: found text; accepted: IBM’s id of the site, digits',
    ],
    [
      'db2',
      { ...client, db2Instance: { ...marketplace, ibmSiteId: '1' } },
      'db2Instance.ibmSiteId: found text; accepted: nothing',
    ],
    [
      'db2',
      { ...client, db2Instance: { ...ids, license: 'license-included' } },
      'db2Instance.license: found another one; accepted: bring-your-own-license or marketplace-license',
    ],
    [
      'db2',
      { ...client, db2Instance: { ...ids, edition: 'ce' } },
      'db2Instance.edition: found another one; accepted: se or ae',
    ],
    [
      'db2',
      { ...client, db2Instance: { ...ids, instanceType: of('m6i.metal') } },
      'db2Instance.instanceType: found m6i.metal; accepted: 8xlarge at most, for the edition se',
    ],
    ['db2', { db2Instance: ids }, 'db2.clientLayer: found nothing; accepted: the ARN of a version of a layer'],
  ])('of %s %o is refused in words', (engine, options, words, database?: string) => {
    expect(refused(engine, options, database)).toThrow(words);
  });

  it('of Oracle is refused partitions that its edition has not', () => {
    const of = (options: object) => () =>
      new StoresStack(new App(), 'Data', {
        configuration: {
          accessTokenStores: { tokens: { storeIn: 'database', database: 'd' } },
          databases: { d: { engine: 'oracle', expiryPartitions: true } },
        },
        ...options,
      });
    expect(of({})).toThrow(
      'databases["d"].expiryPartitions: found true; accepted: false, or oracleInstance.edition ee',
    );
    expect(of({ oracleInstance: { edition: 'ee' } })).not.toThrow();
  });

  it.each([
    ['mysql', { mysqlInstance: { storageGigabytes: 400, maxConnections: 2000, multiAz: false } }],
    ['sqlserver', { sqlserverInstance: { edition: 'express', multiAz: false, instanceType: of('t3.small') } }],
    ['sqlserver', { sqlserverInstance: { edition: 'enterprise', instanceType: of('r6i.xlarge'), passwordDays: 7 } }],
    ['sqlserver', { sqlserverInstance: { edition: 'web' } }],
    ['oracle', { oracleInstance: { license: 'bring-your-own-license', instanceType: of('r5.4xlarge') } }],
    ['oracle', { oracleInstance: { edition: 'ee', instanceType: of('m6i.8xlarge') } }],
    ['db2', { ...client, db2Instance: { ...ids, edition: 'ae', instanceType: of('r6i.16xlarge') } }],
  ])('of %s %o is taken', (engine, options) => {
    expect(refused(engine, options)).not.toThrow();
  });
});
