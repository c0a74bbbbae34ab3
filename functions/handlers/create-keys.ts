import { callAws } from '../aws.ts';
import { createDataKeys } from '../data-keys.ts';

/** What CloudFormation sends, by way of the provider framework; it makes texts of numbers. */
interface CreateKeysEvent {
  readonly RequestType: 'Create' | 'Update' | 'Delete';
  readonly PhysicalResourceId?: string;
  readonly ResourceProperties: {
    /** Where the data keys are kept: a path of SSM parameters for this deployment and this key of AWS KMS. */
    readonly path: string;
    readonly keyId: string;
    readonly generations: readonly string[];
    readonly current: string;
  };
}

/**
 * Sees to it that there is a data key for every generation, and gives the key ring of `generations` as
 * `OAUTH_STORES_KEYS` wants it. Repeatable: a generation that has its key keeps it; one that left the ring is kept too, and
 * is the same when it comes back.
 *
 * @throws {Error} the ring would become one of other keys, under which no token that lives would be known any more; or
 *   tokens would be made under a key that not every function has yet
 * @throws {StoreError} AWS KMS or SSM refuses or does not answer
 */
export const createCreateKeys =
  (call = callAws) =>
  async ({ RequestType, PhysicalResourceId, ResourceProperties }: CreateKeysEvent) => {
    const { path, generations, current } = ResourceProperties;
    const dataKeys = createDataKeys(call, ResourceProperties);
    if (RequestType === 'Delete') {
      // Of the ring as it was last. Wrapped keys that left it earlier stay; without their key of AWS KMS they are nothing.
      for (const generation of generations) await dataKeys.remove(generation);
      return { PhysicalResourceId };
    }
    if (RequestType === 'Update' && PhysicalResourceId !== path) {
      throw new Error(
        `the keys under ${PhysicalResourceId} cannot become others, under ${path}: every token that lives would be unknown; ` +
          'keep the name of the deployment and its AWS KMS key, which rotates by itself',
      );
    }
    if (RequestType === 'Update' && (await dataKeys.find(current)) === undefined) {
      throw new Error(
        `generation ${current} is new, and functions that do not know it yet would refuse its tokens while this is deployed: ` +
          'deploy it once among the generations, then make it current',
      );
    }
    const wrapped: Record<string, string> = {};
    for (const generation of generations) {
      wrapped[generation] = (await dataKeys.find(generation)) ?? (await dataKeys.create(generation));
    }
    return { PhysicalResourceId: path, Data: { keys: JSON.stringify({ current: Number(current), wrapped }) } };
  };

export const handler = createCreateKeys();
