import { conformOnStandIn } from './sqlserver-conformance.ts';

await conformOnStandIn('sqlserver, its statements on SQLite', { expiryPartitions: false });
