// Public prices, in US dollars, of the Region us-east-1, on demand, without free tiers and agreements. Each was read on a
// page that told what Amazon's price list said at its date; the price list itself is the last word:
// https://aws.amazon.com/pricing

export interface Price {
  readonly dollars: number;
  /** What one has for that. */
  readonly per: string;
  /** The same from so many of these on, in a month. */
  readonly beyond?: readonly { readonly from: number; readonly dollars: number }[];
  /** When the source says that it held. */
  readonly date: string;
  readonly source: string;
}

const apiGateway = { date: '2026', source: 'go-cloud.io/aws-api-gateway-pricing, apigatewaycost.com/aws' };
const lambda = {
  date: '2026-05',
  source: 'cloudchipr.com/blog/aws-lambda-pricing (2024); the same in a note of 2026-05',
};
const logs = { date: '2025-05', source: 'duckbillgroup.com, on the tiers for functions since 2025-05-01' };
const cloudWatch = {
  date: '2026-02',
  source: 'cloudburn.io/blog/amazon-cloudwatch-pricing, signoz.io/guides/cloudwatch-pricing',
};
const onDemand = {
  date: '2025-07',
  source: 'airbyte.com/data-engineering-resources/dynamodb-pricing, after the cut of 2024-11',
};
const aurora = {
  date: '2026-06',
  source: 'factualminds.com/blog/amazon-aurora-pricing-io-optimized-serverless-v2-global',
};
const oracle = {
  date: '2026',
  source: 'usage.ai/blogs/aws/reserved-instances/rds/oracle-ri-byol-pricing, “approximately”',
};
const kms = { date: '2026-06', source: 'factualminds.com/blog/aws-kms-pricing-keys-requests-multi-region' };
const unread = (what: string) => ({ date: '(not looked up)', source: what });

const MILLION = 1e6;

export const prices = {
  functionRequest: { dollars: 0.2 / MILLION, per: 'AWS Lambda, request', ...lambda },
  functionTime: {
    dollars: 0.0000133334,
    per: 'AWS Lambda, GB-second on arm64',
    beyond: [{ from: 7.5e9, dollars: 0.0000120001 }],
    ...lambda,
  },
  httpApi: {
    dollars: 1 / MILLION,
    per: 'API Gateway, request to an HTTP API',
    beyond: [{ from: 300 * MILLION, dollars: 0.9 / MILLION }],
    ...apiGateway,
  },
  restApi: { dollars: 3.5 / MILLION, per: 'API Gateway, request to a REST API', ...apiGateway },
  writeUnit: { dollars: 0.625 / MILLION, per: 'DynamoDB, write request unit', ...onDemand },
  readUnit: { dollars: 0.125 / MILLION, per: 'DynamoDB, read request unit', ...onDemand },
  tableStorage: {
    dollars: 0.25,
    per: 'DynamoDB, GB-month',
    date: '(undated)',
    source: 'aws.amazon.com/dynamodb/pricing',
  },
  tableRecovery: { dollars: 0.2, per: 'DynamoDB, GB-month of point-in-time recovery', ...unread('general knowledge') },
  capacity: { dollars: 0.12, per: 'Aurora Serverless v2, ACU-hour', ...aurora },
  capacityOptimized: {
    dollars: 0.156,
    per: 'Aurora Serverless v2, ACU-hour, I/O-Optimized',
    date: '(undated)',
    source: 'emnode.com: 30 % more',
  },
  databaseStorage: {
    dollars: 0.1,
    per: 'Aurora, GB-month',
    date: '(undated)',
    source: 'jusdb.com/blog/aurora-io-optimized-vs-standard-when-to-switch',
  },
  databaseStorageOptimized: {
    dollars: 0.225,
    per: 'Aurora, GB-month, I/O-Optimized',
    date: '(undated)',
    source: 'jusdb.com/blog/aurora-io-optimized-vs-standard-when-to-switch',
  },
  databaseIo: {
    dollars: 0.2 / MILLION,
    per: 'Aurora, I/O request',
    date: '2026-02',
    source: 'oneuptime.com/blog, on I/O-Optimized',
  },
  mysqlInstance: {
    dollars: 0.168,
    per: 'RDS for MySQL, hour of one db.m7g.large (us-west-2)',
    date: '2024-02-02',
    source: 'github.com/hashicorp/terraform-provider-aws, a list in its tests',
  },
  oracleInstance: {
    dollars: 0.7,
    per: 'RDS for Oracle SE2 with a licence, hour of one db.r6i.large',
    ...oracle,
  },
  oracleOwnInstance: { dollars: 0.25, per: 'RDS for Oracle without a licence, hour of one db.r6i.large', ...oracle },
  instanceStorage: {
    dollars: 0.115,
    per: 'RDS, GB-month of gp3',
    date: '2026-06',
    source: 'usage.ai/blogs/aws/reserved-instances/rds/pricing-calculator; a standby has its own: RDS User Guide',
  },
  proxyCapacity: {
    dollars: 0.015,
    per: 'RDS Proxy, ACU-hour, eight at least',
    ...unread('general knowledge; the minimum: blog.serverworks.co.jp'),
  },
  endpoint: {
    dollars: 0.01,
    per: 'VPC interface endpoint, hour in one zone',
    date: '2026-01',
    source: 'cloudcostkit.com, aws.amazon.com/privatelink/pricing',
  },
  logs: {
    dollars: 0.5,
    per: 'CloudWatch Logs, GB taken in',
    beyond: [
      { from: 10_000, dollars: 0.25 },
      { from: 30_000, dollars: 0.1 },
      { from: 50_000, dollars: 0.05 },
    ],
    ...logs,
  },
  logProtection: {
    dollars: 0.12,
    per: 'CloudWatch Logs, GB searched for tokens to mask',
    date: '(undated)',
    source: 'hykell.com/knowledge-base/aws-cloudwatch-logs-pricing',
  },
  metric: { dollars: 0.3, per: 'CloudWatch, metric and month', ...cloudWatch },
  alarm: { dollars: 0.1, per: 'CloudWatch, alarm and month', ...cloudWatch },
  dashboard: { dollars: 3, per: 'CloudWatch, dashboard and month', ...cloudWatch },
  trace: {
    dollars: 5 / MILLION,
    per: 'X-Ray, trace recorded',
    date: '(undated)',
    source: 'aws.amazon.com/xray/pricing',
  },
  key: { dollars: 1, per: 'KMS, key and month', ...kms },
  keyRequest: { dollars: 0.03 / 10_000, per: 'KMS, request', ...kms },
  secret: {
    dollars: 0.4,
    per: 'Secrets Manager, secret and month',
    date: '(undated)',
    source: 'hivebook.wiki, on Secrets Manager',
  },
  schedule: {
    dollars: 0,
    per: 'EventBridge, run of a scheduled rule',
    date: '2026-03',
    source: 'cloudburn.io/blog/amazon-eventbridge-pricing',
  },
} as const satisfies Record<string, Price>;

export type PriceName = keyof typeof prices;

/** What so many cost in a month: the first at the first price, those beyond at the lower ones. */
export function costOf(name: PriceName, quantity: number): number {
  const { dollars, beyond = [] }: Price = prices[name];
  const tiers = [{ from: 0, dollars }, ...beyond];
  return tiers.reduce((sum, tier, index) => {
    const end = tiers[index + 1]?.from ?? Number.POSITIVE_INFINITY;
    return sum + Math.max(0, Math.min(quantity, end) - tier.from) * tier.dollars;
  }, 0);
}
