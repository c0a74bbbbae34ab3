import { callAws } from '../../functions/aws.ts';
import type { Configuration } from '../../functions/config/configuration.ts';
import { parameterName } from '../../functions/config/parameters.ts';
import { usedConnections } from '../../functions/config/places.ts';

/**
 * What a deployment of this name knows of a configuration's connections, as JSON that is laid over them. It is asked of SSM,
 * with the credentials in the environment.
 *
 * @throws {StoreError} there is no such deployment, it is not permitted to read, or AWS does not answer
 */
export async function connectionsOf(deployment: string, configuration: Configuration): Promise<string> {
  const known = await Promise.all(
    usedConnections(configuration).map(async ({ section, name }) => {
      const Name = parameterName(deployment, section, name, 'settings');
      const { Parameter } = await callAws('ssm', 'AmazonSSM.GetParameter', { Name });
      return { section, name, settings: JSON.parse((Parameter as { Value: string }).Value) };
    }),
  );
  const sections = Map.groupBy(known, ({ section }) => section);
  const settingsOf = (each: typeof known) => Object.fromEntries(each.map(({ name, settings }) => [name, settings]));
  return JSON.stringify(Object.fromEntries(Array.from(sections, ([section, each]) => [section, settingsOf(each)])));
}
