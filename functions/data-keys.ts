import { type callAws, isRefusal } from './aws.ts';
import { keyContext } from './config/keys.ts';

/**
 * The data keys under a path of SSM parameters, one for each generation: each as AWS KMS wrapped it, which is no secret. A
 * parameter is written only where there is none, so no key is ever replaced, also when several make it at once.
 */
export function createDataKeys(
  call: typeof callAws,
  { path, keyId }: { readonly path: string; readonly keyId: string },
) {
  const parameterOf = (generation: string) => `${path}/${generation}`;

  const find = async (generation: string): Promise<string | undefined> => {
    const found = await ifThere(call('ssm', 'AmazonSSM.GetParameter', { Name: parameterOf(generation) }));
    return (found?.Parameter as { Value: string } | undefined)?.Value;
  };

  return {
    find,
    async create(generation: string): Promise<string> {
      const { CiphertextBlob } = await call('kms', 'TrentService.GenerateDataKeyWithoutPlaintext', {
        KeyId: keyId,
        KeySpec: 'AES_256',
        EncryptionContext: keyContext(Number(generation)),
      });
      const Value = String(CiphertextBlob);
      const parameter = { Name: parameterOf(generation), Value, Type: 'String', Overwrite: false };
      try {
        await call('ssm', 'AmazonSSM.PutParameter', parameter);
        return Value;
      } catch (error) {
        // Written by somebody else meanwhile, or by this very request, whose answer was lost.
        const stored = await find(generation);
        if (stored === undefined) throw error;
        return stored;
      }
    },
    async remove(generation: string): Promise<void> {
      await ifThere(call('ssm', 'AmazonSSM.DeleteParameter', { Name: parameterOf(generation) }));
    },
  };
}

/** Nothing in the place of a parameter that is not there. */
async function ifThere<Answer>(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isRefusal(error, 'ParameterNotFound')) return undefined;
    throw error;
  }
}
