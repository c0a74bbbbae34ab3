import { Redis } from 'iovalkey';
import { afterAll, describe } from 'vitest';
import { createScratchFolder, findFreePort } from '../engines/launch.ts';
import { startNode } from '../engines/valkey.ts';
import { alarms } from './alarms.ts';
import { authorizers } from './authorizers.ts';
import { configurationOf } from './configuration.ts';
import { deploy } from './deployment.ts';
import { lifecycle } from './lifecycle.ts';
import { logs } from './logs.ts';
import { CACHE, valkeyPermissions } from './permissions.ts';
import { purging } from './purging.ts';
import { standardEndpoints } from './standard-endpoints.ts';
import { storeFunctions } from './store-functions.ts';
import { startWire } from './wire.ts';

// As ElastiCache Serverless shows itself: a cluster whose only address is that of the cache.
const folder = await createScratchFolder('valkey');
const [port, busPort] = [await findFreePort(), await findFreePort()];
const cluster = ['--cluster-enabled', 'yes', '--cluster-port', `${busPort}`, '--save', ''];
const announced = ['--cluster-announce-hostname', CACHE, '--cluster-announce-port', '6379'];
const server = await startNode(
  port,
  folder.path,
  ...cluster,
  ...announced,
  '--cluster-preferred-endpoint-type',
  'hostname',
);
afterAll(() => server.stop().then(folder.remove));
const node = new Redis(port, '127.0.0.1');
await node.call('cluster', 'addslotsrange', 0, 16383);
node.disconnect();

// Between ElastiCache and the server: it can be cut.
const wire = await startWire(port);
afterAll(wire.cut);

const configuration = configurationOf('elasticache');
// DynamoDB removes what has expired within days; here the purge does it, in time for the test to see.
configuration.caches['OAuth Artifact Cache'].nativeTimeToLive = false;

const deployment = await deploy('valkey', configuration, wire.cut, { cache: `127.0.0.1:${wire.port}` });
afterAll(deployment.stop);

describe('on Valkey in ElastiCache', () => {
  storeFunctions(deployment);
  standardEndpoints(deployment);
  authorizers(deployment);
  purging(deployment);
  valkeyPermissions(deployment);
  alarms(deployment);
  logs(deployment);
  lifecycle(deployment);
});
