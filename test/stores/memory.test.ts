import { createEngine } from '../../functions/stores/memory.ts';
import { createVirtualClock } from '../conformance/index.ts';
import { conform } from './conform.ts';

const clock = createVirtualClock(Date.now());
const engine = createEngine({}, clock.nowMs);

conform(
  'memory',
  {
    open: async () => engine,
    clock,
    capabilities: {
      concurrent: false,
      purges: ['codes', 'accessTokens', 'grants', 'revocations', 'artifacts', 'clientAccessTokens'],
      purgeBatch: 1000,
    },
    dump: async () => engine.dump(),
  },
  {
    'the storage cannot be restarted from here': [
      'what was acknowledged is there after a restart: tokens, revocations, redemptions, the retired generation',
    ],
    'there is nothing between the caller and the storage that could fail': [
      'where nobody listens, every operation fails with unavailable and its cause: never unknown, never empty',
      'where nobody answers, every operation fails with timeout or unavailable and its cause: never unknown, never empty',
    ],
    'connections cannot be cut from here': [
      'a rotation or redemption whose connection is cut fails with a coded error at most, and its repeat tells how it went',
    ],
    'there are no round trips to count': [
      'every operation is one round trip',
      'rotating is one round trip, whatever the outcome',
      'redeeming is one round trip, whatever the outcome',
      'finding a foreign token is one round trip, found or not',
      'revoking by subject takes a round trip for a thousand grants, not for each',
    ],
  },
);
