import { instancesSection } from './cost-instances.ts';
import { costOf, type PriceName, prices } from './prices.ts';
import { table } from './report.ts';

// What operations cost, of what was measured and what is assumed. Nothing here measures.

export type Engine = 'dynamodb' | 'aurora';

export const operationNames = [
  'issue a code',
  'redeem a code',
  'issue',
  'lookup (authorizer)',
  'lookup (introspection)',
  'refresh',
  'revoke',
] as const;
export type OperationName = (typeof operationNames)[number];

/** Of one operation, on average. */
export interface Measured {
  /** Requests to the store, one after the other; those at once count as one. */
  readonly roundTrips: number;
  /** Milliseconds of CPU in the function. */
  readonly cpuMs: number;
  /** Bytes that the function writes to its log, with the 26 that CloudWatch adds to each line. */
  readonly logBytes: number;
  /** Request units of DynamoDB. */
  readonly write?: number;
  readonly read?: number;
  /** Milliseconds of CPU in the database server. */
  readonly serverCpuMs?: number;
}

export interface Measurements {
  readonly when: string;
  readonly where: string;
  /** Metrics that CloudWatch makes of the lines of all operations. */
  readonly metrics: number;
  /** Bytes that a grant with its first tokens takes. */
  readonly grantBytes: Readonly<Record<Engine, number>>;
  readonly operations: Readonly<Record<Engine, Readonly<Record<OperationName, Measured>>>>;
}

const assumptions = {
  hoursPerMonth: 730,
  memoryMb: 512,
  /** At this size a function has one processor; at others as much of one as it has memory (AWS Lambda Developer Guide). */
  processorMb: 1769,
  roundTripMs: { dynamodb: 5, aurora: 3 },
  /** Milliseconds of the runtime around a call. */
  overheadMs: 1,
  coldStartShare: 0.01,
  coldStartMs: 400,
  /** Lambda's own lines about each call, as JSON: start and report. */
  platformLogBytes: 600,
  accessLogBytes: 450,
  /** X-Ray takes one trace a second, and so many of the others. */
  tracedShare: 0.05,
  /** How long a grant takes room: refresh token, whole days, and what DynamoDB's TTL takes. */
  retainedDays: 4,
  /** Of the deployment of examples/dynamodb, and of examples/aurora-postgresql. */
  alarms: 35,
  keys: 2,
  /** Interface endpoints, in each Availability Zone. */
  endpoints: 3,
  /** One processor has about four ACUs: a db.r6g.large has 2 and 16 GiB, an ACU has about 2 GiB. */
  acusPerProcessor: 4,
  /** How busy a database is let become. */
  utilization: 0.6,
  leastAcus: 0.5,
  /** A writer, and a reader to fail over to, which has as many. */
  instances: 2,
  leastProxyAcus: 8,
  /** I/O requests of a change (its log) and of a lookup (one page of ten is not in memory). */
  ioPerWrite: 1,
  ioPerRead: 0.1,
} as const;

/** Of a hundred operations. The authorizer is asked with every request to an API. */
export const mix: Readonly<Partial<Record<OperationName, number>>> = {
  'lookup (authorizer)': 94,
  refresh: 3,
  'issue a code': 1,
  'redeem a code': 1,
  revoke: 1,
};

const rates = [1, 100, 10_000] as const;

export const parts = ['API', 'function', 'store', 'logs', 'traces', 'fixed'] as const;
export type Part = (typeof parts)[number];
export type Bill = Readonly<Record<Part, number>>;

export interface Options {
  /** Share of authorizer lookups that API Gateway answers by itself. */
  readonly cached?: number;
  readonly platformLogs?: boolean;
  readonly operationLogs?: boolean;
  readonly traces?: boolean;
}

const MILLION = 1e6;
const GB = 1e9;

const isBehindApi = (name: OperationName) => name !== 'lookup (authorizer)';
const isLookup = (name: OperationName) => name.startsWith('lookup');

/** Milliseconds that Lambda bills for a call, cold starts spread over all. */
export function billedMs(engine: Engine, { cpuMs, roundTrips }: Measured): number {
  const { memoryMb, processorMb, roundTripMs, overheadMs, coldStartShare, coldStartMs } = assumptions;
  const working = cpuMs * (processorMb / memoryMb);
  return Math.ceil(working + roundTrips * roundTripMs[engine] + overheadMs) + coldStartShare * coldStartMs;
}

const gbSeconds = (engine: Engine, measured: Measured) =>
  (billedMs(engine, measured) / 1000) * (assumptions.memoryMb / 1024);

const acusOf = (cpuSecondsPerSecond: number) =>
  (cpuSecondsPerSecond * assumptions.acusPerProcessor) / assumptions.utilization;

/** What is used up by so many operations of each kind: quantities, by what they are paid by. */
function usage(
  { operations }: Measurements,
  engine: Engine,
  counts: Readonly<Partial<Record<OperationName, number>>>,
  { cached = 0, platformLogs = true, operationLogs = true, traces = true }: Options = {},
) {
  const used: Partial<Record<PriceName, number>> = {};
  let serverCpuSeconds = 0;
  const use = (name: PriceName, quantity: number) => {
    used[name] = (used[name] ?? 0) + quantity;
  };
  for (const name of operationNames) {
    const count = (counts[name] ?? 0) * (name === 'lookup (authorizer)' ? 1 - cached : 1);
    const measured = operations[engine][name];
    const bytes =
      (operationLogs ? measured.logBytes : 0) +
      (platformLogs ? assumptions.platformLogBytes : 0) +
      (isBehindApi(name) ? assumptions.accessLogBytes : 0);
    use('functionRequest', count);
    use('functionTime', count * gbSeconds(engine, measured));
    use('keyRequest', count * assumptions.coldStartShare);
    if (isBehindApi(name)) use('httpApi', count);
    use('logs', (count * bytes) / GB);
    use('logProtection', (count * bytes) / GB);
    if (traces) use('trace', count * assumptions.tracedShare);
    if (engine === 'dynamodb') {
      use('writeUnit', count * (measured.write ?? 0));
      use('readUnit', count * (measured.read ?? 0));
    } else {
      serverCpuSeconds += (count * (measured.serverCpuMs ?? 0)) / 1000;
      use(
        'databaseIo',
        count * (isLookup(name) ? assumptions.ioPerRead : assumptions.ioPerWrite * measured.roundTrips),
      );
    }
  }
  return { used, serverCpuSeconds };
}

const partOf: Partial<Record<PriceName, Part>> = {
  httpApi: 'API',
  functionRequest: 'function',
  functionTime: 'function',
  keyRequest: 'function',
  logs: 'logs',
  logProtection: 'logs',
  trace: 'traces',
  writeUnit: 'store',
  readUnit: 'store',
  databaseIo: 'store',
};

function billOf(used: Partial<Record<PriceName, number>>): Record<Part, number> {
  const bill: Record<Part, number> = { API: 0, function: 0, store: 0, logs: 0, traces: 0, fixed: 0 };
  for (const [name, quantity] of Object.entries(used) as [PriceName, number][]) {
    bill[partOf[name] ?? 'fixed'] += costOf(name, quantity);
  }
  return bill;
}

export const totalOf = (bill: Bill): number => parts.reduce((sum, part) => sum + bill[part], 0);

/** Dollars for a million of one operation, at the first prices; nothing that is paid by the month. */
export function perMillion(measurements: Measurements, engine: Engine, name: OperationName): Bill {
  const { used, serverCpuSeconds } = usage(measurements, engine, { [name]: MILLION });
  const bill = billOf(used);
  bill.store += (acusOf(serverCpuSeconds) / 3600) * assumptions.instances * prices.capacity.dollars;
  return bill;
}

/** Dollars for a month of so many operations a second. */
export function perMonth(measurements: Measurements, engine: Engine, rate: number, options: Options = {}): Bill {
  const { hoursPerMonth, alarms, keys, tracedShare, retainedDays, endpoints, instances, leastAcus, leastProxyAcus } =
    assumptions;
  const seconds = hoursPerMonth * 3600;
  const counts = Object.fromEntries(Object.entries(mix).map(([name, share]) => [name, (rate * seconds * share) / 100]));
  const { used, serverCpuSeconds } = usage(measurements, engine, counts, options);
  const bill = billOf(used);
  if (options.traces !== false) {
    bill.traces += costOf('trace', (1 - tracedShare) * Math.min(used.functionRequest ?? 0, seconds));
  }
  const grants = ((rate * (mix['redeem a code'] ?? 0)) / 100) * retainedDays * 24 * 3600;
  const gigabytes = (grants * measurements.grantBytes[engine]) / GB;
  const purges = hoursPerMonth * 60;
  bill.fixed +=
    costOf('key', keys) +
    costOf('alarm', alarms) +
    costOf('dashboard', 1) +
    costOf('metric', measurements.metrics) +
    costOf('schedule', purges) +
    costOf('functionRequest', purges);
  if (engine === 'dynamodb') {
    bill.store += costOf('tableStorage', gigabytes) + costOf('tableRecovery', gigabytes);
  } else {
    const acus = Math.max(leastAcus, acusOf(serverCpuSeconds / seconds)) * instances;
    bill.store += costOf('capacity', acus * hoursPerMonth) + costOf('databaseStorage', gigabytes);
    bill.fixed +=
      costOf('proxyCapacity', Math.max(leastProxyAcus, acus) * hoursPerMonth) +
      costOf('endpoint', endpoints * hoursPerMonth) +
      costOf('secret', 1);
  }
  return bill;
}

const dollars = (amount: number): string =>
  amount >= 1000 ? Math.round(amount).toLocaleString('en-US').replaceAll(',', ' ') : amount.toFixed(2);
const number = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(2));
const engineWords: Readonly<Record<Engine, string>> = { dynamodb: 'DynamoDB', aurora: 'Aurora PostgreSQL' };
const engines = Object.keys(engineWords) as Engine[];

const measuredTable = ({ operations }: Measurements, engine: Engine) =>
  table(
    [
      engineWords[engine],
      ...(engine === 'dynamodb' ? ['write units', 'read units'] : ['server CPU, ms']),
      'round trips',
      'function CPU, ms',
      'billed, ms',
      'GB-seconds per million',
      'log, bytes',
    ],
    operationNames.map((name) => {
      const measured = operations[engine][name];
      const { write = 0, read = 0, serverCpuMs = 0, roundTrips, cpuMs, logBytes } = measured;
      return [
        name,
        ...(engine === 'dynamodb' ? [number(write), number(read)] : [serverCpuMs.toFixed(2)]),
        number(roundTrips),
        cpuMs.toFixed(2),
        billedMs(engine, measured).toFixed(0),
        (gbSeconds(engine, measured) * MILLION).toFixed(0),
        logBytes.toFixed(0),
      ];
    }),
  );

const billTable = (head: string, rows: readonly (readonly [string, Bill])[], shown: readonly Part[] = parts) =>
  table(
    [head, ...shown, 'together'],
    rows.map(([name, bill]) => [name, ...shown.map((part) => dollars(bill[part])), dollars(totalOf(bill))]),
  );

const largest = (bill: Bill): string =>
  parts
    .toSorted((one, other) => bill[other] - bill[one])
    .slice(0, 2)
    .map((part) => `${part} ${Math.round((bill[part] / totalOf(bill)) * 100)} %`)
    .join(', ');

const savings: readonly (readonly [string, Options])[] = [
  ['as deployed', {}],
  ['`authorizer.resultCacheSeconds`: API Gateway keeps answers and finds nine of ten', { cached: 0.9 }],
  [
    'no line of a function about each operation (no setting: metrics and alarms are made of them)',
    { operationLogs: false },
  ],
  ['Lambda’s own lines at WARN (`systemLogLevelV2`)', { platformLogs: false }],
  ['no traces (`Tracing.DISABLED`)', { traces: false }],
  ['all of these', { cached: 0.9, operationLogs: false, platformLogs: false, traces: false }],
];

const SAVED_AT = 100;

/** docs/cost.md */
export function page(measurements: Measurements): string {
  const a = assumptions;
  const share = (name: OperationName) => mix[name] ?? 0;
  return `# What it costs

\`npm run cost\` measures and computes this page, \`npm run cost -- --write\` writes it, and \`npm run cost -- --write --measured\`
computes it anew from the figures of the last measurement. Prices stand in \`bench/prices.ts\`, each with its date and source;
whoever has other prices changes them there.

US dollars, us-east-1, on demand, without free tiers. What is *measured* is the project's own; what is *assumed* is marked so
and stands in \`bench/cost-model.ts\`. An estimate, good for comparing and for finding what dominates; the bill is Amazon's.

## Measured

${measurements.when}, ${measurements.where}. Each operation is the function's whole work in one process, with grants of a
subject, a client and two scopes. *Round trips*: requests to the store one after the other. *Log*: what the function writes
itself. *Billed* and *GB-seconds* are computed from the CPU, see below.

${engines.map((engine) => measuredTable(measurements, engine)).join('\n\n')}

A grant with its first tokens takes ${measurements.grantBytes.dynamodb} bytes in DynamoDB and ${measurements.grantBytes.aurora} in PostgreSQL, indexes included.

## Assumed

- A function of ${a.memoryMb} MB has ${(a.memoryMb / a.processorMb).toFixed(2)} of a processor (a whole one at ${a.processorMb} MB), of the kind that was measured on; a round trip
  takes ${a.roundTripMs.dynamodb} ms to DynamoDB and ${a.roundTripMs.aurora} ms to Aurora through RDS Proxy; the runtime adds ${a.overheadMs} ms. **No duration was measured in AWS.**
- ${a.coldStartShare * 100} % of the calls start an instance: ${a.coldStartMs} ms, which are billed, and one request to KMS.
- Lambda writes ${a.platformLogBytes} bytes about each call, API Gateway ${a.accessLogBytes} about each request. Every byte is also searched for tokens
  (data protection).
- X-Ray records one call a second, and ${a.tracedShare * 100} % of the others.
- Aurora: ${a.acusPerProcessor} ACUs have one processor, which is let become ${a.utilization * 100} % busy; ${a.leastAcus} ACUs at least, and as many in the reader
  that it fails over to; a change is one I/O request for each of its statements, a lookup ${a.ioPerRead}. RDS Proxy is paid for ${a.leastProxyAcus} ACUs
  at least; an interface endpoint in ${a.endpoints} places.
- A grant takes room for ${a.retainedDays} days. ${a.alarms} alarms, ${a.keys} keys, one dashboard; ${measurements.metrics} metrics of what these operations come to, and
  one more for every other outcome that occurs.
- Not in it: what API Gateway takes for the requests to *your* APIs (the authorizer is part of them), data transfer, support.

## A million of each

Without what is paid by the month, and for Aurora without the least that it costs when idle.

${engines
  .map((engine) =>
    billTable(
      engineWords[engine],
      operationNames.map((name) => [name, perMillion(measurements, engine, name)] as const),
      parts.filter((part) => part !== 'fixed'),
    ),
  )
  .join('\n\n')}

Behind a REST API a million requests cost ${dollars(costOf('restApi', MILLION))} instead of ${dollars(costOf('httpApi', MILLION))}.

## A month

Of a hundred operations ${share('lookup (authorizer)')} are lookups by the authorizer, ${share('refresh')} refreshes, ${share('issue a code')} a code, ${share('redeem a code')} its redemption and ${share('revoke')} a revocation.
*Fixed*: keys, alarms, dashboard, metrics; for Aurora also RDS Proxy, endpoints and a secret. The least that Aurora costs when idle is in *store*.

${engines
  .map((engine) =>
    billTable(
      `${engineWords[engine]}, operations a second`,
      rates.map((rate) => [dollars(rate).replace('.00', ''), perMonth(measurements, engine, rate)] as const),
    ),
  )
  .join('\n\n')}

## An instance of Amazon RDS, a month

${instancesSection()}

## What dominates, and what lowers it

${engines.flatMap((engine) => rates.map((rate) => `- ${engineWords[engine]}, ${dollars(rate).replace('.00', '')} a second: ${largest(perMonth(measurements, engine, rate))}.`)).join('\n')}

At ${SAVED_AT} operations a second, in a month:

${table(
  ['', ...engines.map((engine) => engineWords[engine])],
  savings.map(([what, options]) => [
    what,
    ...engines.map((engine) => dollars(totalOf(perMonth(measurements, engine, SAVED_AT, options)))),
  ]),
)}

A cached answer lets a revoked token in for as long as it is kept. Longer access tokens make fewer refreshes, and revocation
costs them nothing: it takes effect at the next lookup. On a load that is steady, provisioned capacity of DynamoDB and
Savings Plans for Lambda cost less than these prices; Aurora with I/O-Optimized storage (${dollars(prices.capacityOptimized.dollars)} for an ACU-hour, ${dollars(prices.databaseStorageOptimized.dollars)} for a
GB-month) pays from about a quarter of its bill for I/O on.

## Prices

${table(
  ['', 'dollars', 'date', 'source'],
  Object.values(prices).map(({ per, dollars: each, date, source }) => [per, price(each), date, source]),
)}
`;
}

/** Small prices for a million. */
const price = (each: number) =>
  each > 0 && each < 0.001 ? `${Number((each * MILLION).toPrecision(6))} for a million` : String(each);
