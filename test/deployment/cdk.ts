import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../engines/launch.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(dirname(createRequire(import.meta.url).resolve('aws-cdk/package.json')), 'bin/cdk');

/** What it prints of every asset and resource on its way. */
const progress = /: (start|success): |_(IN_PROGRESS|COMPLETE) /;

/** Runs the CDK's command line in this checkout, or in `cwd`, and gives what it printed; throws with that when it fails. */
export const cdk = (args: readonly string[], env: Readonly<Record<string, string>>, cwd = root): Promise<string> =>
  run([process.execPath, program, ...args, '--no-notices'], {
    cwd,
    env: {
      ...env,
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      CI: 'true',
      NO_COLOR: '1',
      CDK_DISABLE_CLI_TELEMETRY: '1',
      CDK_DISABLE_VERSION_CHECK: '1',
    },
  }).catch((error: Error) => {
    throw new Error(
      error.message
        .split('\n')
        .filter((line) => !progress.test(line))
        .join('\n'),
    );
  });
