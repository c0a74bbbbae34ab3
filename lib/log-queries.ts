/** Queries of CloudWatch Logs Insights, by the name under which they are saved; the runbook says when to use which. */
export const logQueries = {
  'who-is-refused': {
    logs: 'access',
    text: `filter status like /^(400|401|403|429)$/
| stats count(*) as refused, count_distinct(route) as routes by sourceIp
| sort refused desc
| limit 25`,
  },
  'what-is-refused': {
    logs: 'functions',
    text: `filter message in ["access refused", "request refused"]
| stats count(*) as refused by Function, Reason, bin(5m)
| sort refused desc`,
  },
  'who-reuses-tokens': {
    logs: 'functions',
    text: `filter message = "request refused" and Reason in ["reused", "replayed"]
| stats count(*) as times, count_distinct(grant_id) as grants by client_id, Reason
| sort times desc`,
  },
  'slowest-operations': {
    logs: 'functions',
    text: `filter message = "store operation"
| stats count(*) as operations, pct(DurationMs, 99) as p99, max(DurationMs) as slowest by Store, Operation, Outcome
| sort p99 desc`,
  },
  'what-failed': {
    logs: 'functions',
    text: `filter level = "error" or message = "the store failed"
| fields @timestamp, message, function, coalesce(code, failure.code) as code, coalesce(detail, failure.detail) as detail, request
| sort @timestamp desc
| limit 100`,
  },
  'purge-runs': {
    logs: 'functions',
    text: `filter message like /purge/
| fields @timestamp, message, store, PurgeRemoved, PurgeBacklog, oldestSeconds, lateSeconds, report.more
| sort @timestamp desc
| limit 100`,
  },
} as const satisfies Record<string, { logs: 'access' | 'functions'; text: string }>;
