import { cases as artifacts } from './artifacts.ts';
import { cases as authorizationCodes } from './authorization-codes.ts';
import { cases as clientAccessTokens } from './client-access-tokens.ts';
import { cases as duplicates } from './duplicates.ts';
import { cases as expiry } from './expiry.ts';
import { cases as fields } from './fields.ts';
import { type Case, type ConformanceCase, type Harness, onStage } from './harness.ts';
import { cases as linearizability } from './linearizability.ts';
import { cases as listing } from './listing.ts';
import { cases as model } from './model.ts';
import { cases as outage } from './outage.ts';
import { cases as plaintext } from './plaintext.ts';
import { cases as purge } from './purge.ts';
import { cases as revocation } from './revocation.ts';
import { cases as rotation } from './rotation.ts';
import { cases as roundTrips } from './round-trips.ts';

export {
  type Capabilities,
  type ConformanceCase,
  createVirtualClock,
  type Guarantee,
  type Harness,
  type Outage,
  type PurgeKind,
  type RoundTrips,
  type VirtualClock,
} from './harness.ts';

const themes: Record<string, readonly Case[]> = {
  fields,
  'authorization codes': authorizationCodes,
  rotation,
  expiry,
  revocation,
  duplicates,
  purge,
  listing,
  artifacts,
  'client access tokens': clientAccessTokens,
  outage,
  'round trips': roundTrips,
  plaintext,
  model,
  linearizability,
};

/**
 * The cases that every store must pass, whatever engine is below it. Guarantees are named as in the design, G1 to G11; a
 * case's name states what must hold, in the words of the ports.
 *
 * Run them one after another, in this order, on storage that is the suite's alone: some move the clock, and those about the
 * purge remove what others left. The last two themes draw random sequences and need the package `fast-check`; a failure
 * names the seed, the one about linearizability the whole history. A case with `omitted` does not apply to the engine:
 * report it, and do not run it.
 */
export const conformance = (harness: Harness): ConformanceCase[] =>
  Object.entries(themes).flatMap(([theme, cases]) =>
    cases.map(({ guarantee, name, omit, run }) => {
      const omitted = omit?.(harness);
      return { theme, guarantee, name, ...(omitted && { omitted }), run: () => onStage(harness, run) };
    }),
  );
