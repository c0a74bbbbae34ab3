import { afterEach } from 'vitest';
import { type Configuration, parseConfiguration } from '../../functions/config/configuration.ts';
import { createKeyring } from '../../functions/domain/keyring.ts';
import { createMetrics } from '../../functions/metrics.ts';
import { openStores, type Stores } from '../../functions/open-stores.ts';
import { configuredClients, type Runtime } from '../../functions/runtime.ts';
import { START, settings } from './deployment.ts';

// A deployment in memory that measures as a deployed one does, and CloudWatch's part: metrics out of lines of the log.

export const NAMESPACE = 'Tokens';

export interface Datapoint {
  readonly namespace: string;
  readonly name: string;
  readonly unit: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly value: number;
  readonly atMs: number;
}

interface Directive {
  readonly Namespace: string;
  readonly Dimensions: readonly (readonly string[])[];
  readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
}

/**
 * What CloudWatch makes of a line.
 *
 * @throws {Error} it would take the line for no metric: a member that is named is not there, or of another type
 */
export function datapointsOf(line: string): Datapoint[] {
  const members = JSON.parse(line);
  const directives: readonly Directive[] = members._aws?.CloudWatchMetrics ?? [];
  return directives.flatMap(({ Namespace: namespace, Dimensions, Metrics }) =>
    Metrics.flatMap(({ Name: name, Unit: unit }) =>
      Dimensions.map((keys) => {
        const value: unknown = members[name];
        const dimensions = Object.fromEntries(keys.map((key) => [key, members[key]]));
        const isText = (text: unknown) => typeof text === 'string' && /^[!-9;-~][ -~]{0,1023}$/.test(text);
        if (!Object.values(dimensions).every(isText) || typeof value !== 'number' || !Number.isFinite(value)) {
          throw new Error(`no metric: ${name} in ${line}`);
        }
        return { namespace, name, unit, dimensions, value, atMs: members._aws.Timestamp };
      }),
    ),
  );
}

const opened: Stores[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((stores) => stores.close()));
});

export interface MeasuredDeployment {
  readonly runtime: Runtime;
  readonly lines: string[];
  readonly metrics: ReturnType<typeof createMetrics>;
  pass(seconds: number): void;
  datapoints(): Datapoint[];
}

export async function measuredDeployment(changes: Record<string, unknown> = {}): Promise<MeasuredDeployment> {
  const { configuration }: { configuration: Configuration } = parseConfiguration({ ...settings, ...changes });
  const keyring = createKeyring([{ generation: 0, secret: Buffer.alloc(32, 7) }]);
  let nowMs = START * 1000;
  const clock = () => nowMs;
  const lines: string[] = [];
  const write = (level: string, message: string, fields?: object) =>
    void lines.push(JSON.stringify({ level, message, ...fields }));
  const metrics = createMetrics(write, NAMESPACE, clock);
  const stores = await openStores(configuration, { keyring, clock, observe: metrics.observe });
  opened.push(stores);
  return {
    runtime: { configuration, stores, clients: configuredClients(configuration), keyring, clock, log: metrics.log },
    lines,
    metrics,
    pass: (seconds) => {
      nowMs += seconds * 1000;
    },
    datapoints: () => lines.flatMap(datapointsOf),
  };
}
