import { readFileSync } from 'node:fs';
import { type Checked, readConfiguration } from '../../functions/config/configuration.ts';
import { environment } from '../../functions/config/environment.ts';
import { ConfigurationError } from '../../functions/config/faults.ts';

const { variable, default: usualFile } = environment.configurationFile;

/** Where the configuration is, when nothing is said of it. */
export const configurationFile = process.env[variable] || usualFile;

/** What the help says of it. */
export const whichConfiguration = `the configuration; without it ${variable}, or else`;

/**
 * The configuration in a file, with what a deployment knows of its connections laid over it.
 *
 * @throws {Error} with the file and everything that is wrong with it
 */
export function readFrom(file: string, connections = process.env[environment.connections.variable]): Checked {
  try {
    return readConfiguration(readFileSync(file, 'utf8'), connections);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new Error(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}
