import { callAws } from '../../functions/aws.ts';
import type { Configuration } from '../../functions/config/configuration.ts';
import { parameterName } from '../../functions/config/parameters.ts';

/**
 * What a deployment of this name created for a configuration, as JSON that is laid over the configuration's connections. It
 * is asked of SSM, with the credentials in the environment.
 *
 * @throws {StoreError} there is no such deployment, it is not permitted to read, or AWS does not answer
 */
export async function connectionsOf(deployment: string, { caches, databases }: Configuration): Promise<string> {
  const fact = async (...path: readonly string[]) => {
    const Name = parameterName(deployment, ...path);
    const { Parameter } = await callAws('ssm', 'AmazonSSM.GetParameter', { Name });
    return (Parameter as { Value: string }).Value;
  };
  const tables = Object.entries(caches)
    .filter(([, cache]) => cache.engine === 'dynamodb' && cache.tableName === undefined)
    .map(async ([name]) => [name, { tableName: await fact('caches', name, 'tableName') }] as const);
  const servers = Object.entries(databases)
    .filter(([, database]) => !database.embedded && database.host === undefined && database.url === undefined)
    .map(async ([name]) => {
      const [host, database] = await Promise.all([
        fact('databases', name, 'host'),
        fact('databases', name, 'databaseName'),
      ]);
      return [name, { host, database, port: 5432, user: 'oauth_writer', password: { iam: true } }] as const;
    });
  return JSON.stringify({
    caches: Object.fromEntries(await Promise.all(tables)),
    databases: Object.fromEntries(await Promise.all(servers)),
  });
}
