#!/usr/bin/env node
import { type Command, InvalidArgumentError, program } from 'commander';
import { clientSecret } from './commands/client-secret.ts';
import { configurationFile, readFrom, whichConfiguration } from './commands/configuration.ts';
import { connectionsOf } from './commands/deployment.ts';
import { explain } from './commands/failure.ts';
import { type ListOptions, list } from './commands/list.ts';
import { type PurgeOptions, purge } from './commands/purge.ts';
import { type RevokeOptions, revoke } from './commands/revoke.ts';
import { type SchemaOptions, schema } from './commands/schema.ts';
import { withSelector } from './commands/selector.ts';
import { testConnection } from './commands/test-connection.ts';

program.name('oauth2-stores').description('Checks and administers OAuth 2.0 token stores.');

program
  .command('check')
  .description('check a configuration and print its warnings, or all of its faults')
  .argument('[file]', whichConfiguration, configurationFile)
  .action((file: string) => {
    const { warnings } = readFrom(file);
    console.log(`${file} is correct`);
    for (const { path, text } of warnings) console.log(`  warning: ${path ? `${path}: ` : ''}${text}`);
  });

const command = (name: string, description: string) =>
  program.command(name).description(description).option('-c, --config <file>', whichConfiguration, configurationFile);
const deployable = (command: Command) =>
  command.option('--deployment <name>', 'the deployment that the stores are of, whose tables and servers AWS knows');
const configurationOf = async ({ config, deployment }: Options) => {
  const { configuration } = readFrom(config);
  if (deployment === undefined) return configuration;
  return readFrom(config, await connectionsOf(deployment, configuration)).configuration;
};
type Options<Of = object> = Of & { config: string; deployment?: string };

program
  .command('client-secret')
  .description('make a secret for a client, and the digest that the configuration has of it')
  .action(clientSecret);

command('schema', 'print the scripts that make the tables of a database or a keyspace, or apply those that are missing')
  .argument('<name>', 'a database, a cluster of Cassandra, or a store that is kept in one')
  .option('--apply', 'apply them: all to a new database, and to an older one its upgrades')
  .option('--roles', 'also those that make the users of the database, by a user who may make roles')
  .option('--from <version>', 'print the upgrades from this version of oauth-server', whole(1, 1000))
  .action(async (name: string, options: Options<SchemaOptions>) =>
    schema(await configurationOf(options), name, options),
  );

deployable(command('test-connection', 'say whether the stores can be reached, and if not, what is wrong'))
  .argument('[name...]', 'connections, or stores that use them; without, every connection')
  .action(async (names: string[], options: Options) => testConnection(await configurationOf(options), names));

deployable(command('purge', 'remove what has expired'))
  .argument('[store...]', 'stores; without, every store')
  .option('--limit <records>', 'the most that is removed from each store; without, its own limit', whole(1, 1_000_000))
  .option('--seconds <seconds>', 'how long all of it may take', whole(1, 86_400))
  .action(async (names: string[], options: Options<PurgeOptions>) =>
    purge(await configurationOf(options), names, options),
  );

withSelector(deployable(command('list', 'list grants with their tokens, also those that have ended')))
  .option('--store <name>', 'the access token store, where there are several')
  .option('--limit <grants>', 'the most grants that are listed', whole(1, 1000), 20)
  .option('--after <place>', 'where the page before ended')
  .option('--json', 'as JSON')
  .action(async (options: Options<ListOptions>) => list(await configurationOf(options), options));

withSelector(deployable(command('revoke', 'end grants with all of their tokens')))
  .option('--grant <id>', 'one grant')
  .option('--store <name>', 'the access token store, where there are several')
  .option('--yes', 'do not ask')
  .action(async (options: Options<RevokeOptions>) => revoke(await configurationOf(options), options));

// Whoever reads the output may stop early, as `head` does.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));

try {
  await program.parseAsync();
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}

/** Reads a whole number within these bounds, both of them included. */
function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
  };
}
