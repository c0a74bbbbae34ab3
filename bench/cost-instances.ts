import { costOf, type PriceName } from './prices.ts';
import { table } from './report.ts';

// What an instance of Amazon RDS costs in a month, as it is deployed by default: with a standby, whatever is done with it.

const HOURS = 730;
const GIGABYTES = 100;
/** One, and its standby, which is paid for as it is; so is its storage. */
const INSTANCES = 2;

/** Interface endpoints in all zones (KMS in two, Secrets Manager in one or two), and secrets, the master user’s among them. */
const logins = { IAM: { endpoints: 3, secrets: 1 }, passwords: { endpoints: 4, secrets: 5 } } as const;

interface InstanceRow {
  readonly what: string;
  readonly login: keyof typeof logins;
  /** Absent: nobody found out. */
  readonly hour?: PriceName;
}

const instances: readonly InstanceRow[] = [
  { what: 'MySQL, `db.m7g.large`', login: 'IAM', hour: 'mysqlInstance' },
  { what: 'Oracle SE2, licence included, `db.r6i.large`', login: 'passwords', hour: 'oracleInstance' },
  { what: 'Oracle, a licence of yours, `db.r6i.large`', login: 'passwords', hour: 'oracleOwnInstance' },
  { what: 'PostgreSQL, MariaDB', login: 'IAM' },
  { what: 'SQL Server, Db2', login: 'passwords' },
];

const dollars = (amount: number) => amount.toFixed(2);

function rowOf({ what, login, hour }: InstanceRow): string[] {
  const { endpoints, secrets } = logins[login];
  const storage = costOf('instanceStorage', GIGABYTES * INSTANCES);
  const ways = costOf('endpoint', endpoints * HOURS) + costOf('secret', secrets);
  if (!hour) return [what, 'not looked up', dollars(storage), dollars(ways), '–'];
  const running = costOf(hour, INSTANCES * HOURS);
  return [what, dollars(running), dollars(storage), dollars(ways), dollars(running + storage + ways)];
}

/** The section of docs/cost.md. */
export const instancesSection = (): string =>
  `An instance runs whether or not it is asked, and so does its standby: both are paid for, and ${GIGABYTES} GB of storage for each. Without what
functions, logs and alarms cost, which is as above; RDS Proxy in front of PostgreSQL comes on top. Backups are free up to the size of the
storage. A licence of yours is not in it.

${table(['instance and standby', 'running', 'storage', 'endpoints, secrets', 'together'], instances.map(rowOf))}`;
