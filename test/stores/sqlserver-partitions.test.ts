import { describeRings } from './ring-cases.ts';
import { conformOnStandIn } from './sqlserver-conformance.ts';

// In the layout of sql/sqlserver/oauth-partitions.sql. A partition is a condition here, and TRUNCATE a DELETE.

const open = await conformOnStandIn('sqlserver, its statements on SQLite, in expiry partitions', {
  expiryPartitions: true,
});
describeRings('sqlserver, its statements on SQLite', open);
