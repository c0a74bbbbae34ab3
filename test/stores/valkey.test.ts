import { Cluster, Redis } from 'iovalkey';
import { afterAll, beforeAll, describe, it } from 'vitest';
import * as artifactScripts from '../../functions/stores/valkey/scripts/artifacts.ts';
import * as codeScripts from '../../functions/stores/valkey/scripts/codes.ts';
import * as grantScripts from '../../functions/stores/valkey/scripts/grants.ts';
import * as pointerScripts from '../../functions/stores/valkey/scripts/pointers.ts';
import * as revocationScripts from '../../functions/stores/valkey/scripts/revocations.ts';
import type { Script } from '../../functions/stores/valkey/scripts/script.ts';
import * as recordScripts from '../../functions/stores/valkey/scripts/script.ts';
import { createEngine } from '../../functions/stores/valkey.ts';
import { conformance, createVirtualClock, type Harness } from '../conformance/index.ts';
import { createScratchFolder, findFreePort } from '../engines/launch.ts';
import { type Node, startSingle } from '../engines/valkey.ts';
import { conform } from './conform.ts';
import { leftToTtl } from './left-to-ttl.ts';
import { faults } from './valkey-faults.ts';
import { countRoundTrips, dumpOf, given, listenSilently, nodesOf } from './valkey-server.ts';

const clock = createVirtualClock(Date.now());
const { cluster = false } = given ?? {};
// Thousands of calls at once, on a machine that has other work too.
const patience = { connectTimeoutMs: 30_000, requestTimeoutMs: 30_000 };
const nodes = nodesOf(given ?? {});
afterAll(() => {
  for (const node of nodes) node.disconnect();
});

const silentPort = await listenSilently();
const openAt = (port: number) => async () =>
  createEngine({ hosts: [`127.0.0.1:${port}`], cluster, requestTimeoutMs: 300, connectTimeoutMs: 300 }, clock.nowMs);

const cut = async () => {
  await Promise.all(nodes.map((node) => node.call('client', 'kill', 'type', 'normal', 'skipme', 'yes')));
};

const scripts = [artifactScripts, codeScripts, grantScripts, pointerScripts, recordScripts, revocationScripts]
  .flatMap((file): unknown[] => Object.values(file))
  .filter((each): each is Script => typeof each === 'object' && each !== null && 'sha' in each);

describe('on a server', () => {
  // What a node has not seen yet costs a round trip more, once.
  beforeAll(async () => {
    for (const node of nodes) for (const { text } of scripts) await node.script('LOAD', text);
  });
  conform(
    cluster ? 'valkey, a cluster' : 'valkey',
    {
      open: async () => createEngine({ ...given, ...patience }, clock.nowMs),
      clock,
      capabilities: {
        concurrent: true,
        // The server removes every key at its end by itself.
        purges: [],
        purgeBatch: 1,
        roundTrips: {
          // Pointers and marks, then the grant, if it is told when the grant was authorized; else all at once.
          'accessTokens.persist': 1,
          // Where the digest leads, then what it leads to.
          'accessTokens.findAccess foreign': 2,
          'accessTokens.findRefresh foreign': 2,
          'artifacts.findByUid': 2,
          'artifacts.findByUserCode': 2,
          // The mark and the pointers, then all the grants.
          'accessTokens.revokeBy': 2,
          'accessTokens.listGrants': 2,
          // The ways in, then the artifact.
          'artifacts.put': 2,
          // The artifact, then its ways in.
          'artifacts.remove': 2,
        },
      },
      outage: { refused: openAt(1), silent: openAt(silentPort), cut },
      roundTrips: countRoundTrips(cluster ? Cluster : Redis),
      dump: () => dumpOf(nodes),
    },
    {
      ...leftToTtl,
      'the storage cannot be restarted from here': [
        'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
      ],
    },
  );
});

/** The one case of the suite that needs a server which others do not use. */
const restarts = () => {
  describe('on a server of its own', () => {
    let folder: Awaited<ReturnType<typeof createScratchFolder>>;
    let port = 0;
    let node: Node;
    beforeAll(async () => {
      folder = await createScratchFolder('valkey');
      port = await findFreePort();
      node = await startSingle(port, folder.path);
    });
    afterAll(() => node.stop().then(folder.remove));
    const harness: Harness = {
      open: async () => createEngine({ hosts: [`127.0.0.1:${port}`], ...patience }, clock.nowMs),
      clock,
      capabilities: { concurrent: true, purges: [], purgeBatch: 1 },
      restart: async () => {
        await node.stop();
        node = await startSingle(port, folder.path);
      },
    };
    for (const { name, run } of conformance(harness).filter((each) => /after a restart/.test(each.name))) it(name, run);
  });
};

if (process.env.VALKEY_FETCHED !== undefined) {
  if (cluster) faults();
  else restarts();
}
