import { describe, expect, it } from 'vitest';
import type { callAws } from '../../functions/aws.ts';
import { keyContext } from '../../functions/config/keys.ts';
import { StoreError } from '../../functions/domain/errors.ts';
import { createCreateKeys } from '../../functions/handlers/create-keys.ts';

const path = '/deployment/data-keys/key-1';

/** KMS and SSM as far as the function knows them. A key's text says of which generation it is, and which it was. */
function createAws() {
  const parameters = new Map<string, string>();
  const calls: string[] = [];
  let made = 0;
  const refusal = (target: string, name: string) => new StoreError('unsupported', `${target}: ${name}`);
  const operations: Record<string, (body: Record<string, unknown>) => Record<string, unknown>> = {
    'AmazonSSM.GetParameter': ({ Name }) => {
      const Value = parameters.get(String(Name));
      if (Value === undefined) throw refusal('AmazonSSM.GetParameter', 'ParameterNotFound');
      return { Parameter: { Name, Value } };
    },
    'AmazonSSM.PutParameter': ({ Name, Value, Overwrite, Type }) => {
      expect([Overwrite, Type]).toEqual([false, 'String']);
      if (parameters.has(String(Name))) throw refusal('AmazonSSM.PutParameter', 'ParameterAlreadyExists');
      parameters.set(String(Name), String(Value));
      return { Version: 1 };
    },
    'AmazonSSM.DeleteParameter': ({ Name }) => {
      if (!parameters.delete(String(Name))) throw refusal('AmazonSSM.DeleteParameter', 'ParameterNotFound');
      return {};
    },
    'TrentService.GenerateDataKeyWithoutPlaintext': ({ KeyId, KeySpec, EncryptionContext }) => {
      const { generation } = EncryptionContext as { generation: string };
      expect({ KeyId, KeySpec, EncryptionContext }).toEqual({
        KeyId: 'arn:key-1',
        KeySpec: 'AES_256',
        EncryptionContext: keyContext(Number(generation)),
      });
      made += 1;
      return { CiphertextBlob: `key ${made} of ${generation}` };
    },
  };
  const call: typeof callAws = async (_service, target, body) => {
    calls.push(target);
    const operation = operations[target];
    if (!operation) throw new Error(`an operation that is not expected: ${target}`);
    return operation(body as Record<string, unknown>);
  };
  return { call, calls, parameters, operations, refusal };
}

const request = (generations: readonly number[], current: number) => ({
  RequestType: 'Create' as const,
  ResourceProperties: { path, keyId: 'arn:key-1', generations: generations.map(String), current: `${current}` },
});

const update = (generations: readonly number[], current: number) => ({
  ...request(generations, current),
  RequestType: 'Update' as const,
  PhysicalResourceId: path,
});

const ringOf = (answer: Awaited<ReturnType<ReturnType<typeof createCreateKeys>>>) =>
  JSON.parse(answer.Data?.keys ?? '');

describe('create-keys', () => {
  it('makes a key for each generation, and gives the ring as functions read it', async () => {
    const { call, parameters } = createAws();
    const answer = await createCreateKeys(call)(request([0, 5], 5));
    expect(answer.PhysicalResourceId).toBe(path);
    expect(ringOf(answer)).toEqual({ current: 5, wrapped: { 0: 'key 1 of 0', 5: 'key 2 of 5' } });
    expect([...parameters]).toEqual([
      [`${path}/0`, 'key 1 of 0'],
      [`${path}/5`, 'key 2 of 5'],
    ]);
  });

  it('repeated, gives the same ring and makes nothing', async () => {
    const { call, calls } = createAws();
    const first = await createCreateKeys(call)(request([0, 5], 5));
    calls.length = 0;
    expect(await createCreateKeys(call)(request([0, 5], 5))).toEqual(first);
    expect(new Set(calls)).toEqual(new Set(['AmazonSSM.GetParameter']));
  });

  it('adds a generation and keeps every other as it is, also one that left the ring and comes back', async () => {
    const { call } = createAws();
    const createKeys = createCreateKeys(call);
    await createKeys(request([0], 0));
    expect(ringOf(await createKeys(update([0, 1], 0)))).toEqual({
      current: 0,
      wrapped: { 0: 'key 1 of 0', 1: 'key 2 of 1' },
    });
    expect(ringOf(await createKeys(update([1], 1)))).toEqual({ current: 1, wrapped: { 1: 'key 2 of 1' } });
    expect(ringOf(await createKeys(update([0, 1], 1)))).toEqual({
      current: 1,
      wrapped: { 0: 'key 1 of 0', 1: 'key 2 of 1' },
    });
  });

  it('takes the key that another run stored meanwhile, and never replaces it', async () => {
    const { call, parameters, operations } = createAws();
    const generate = operations['TrentService.GenerateDataKeyWithoutPlaintext'];
    operations['TrentService.GenerateDataKeyWithoutPlaintext'] = (body) => {
      parameters.set(`${path}/0`, 'key of another run');
      return generate?.(body) ?? {};
    };
    expect(ringOf(await createCreateKeys(call)(request([0], 0))).wrapped).toEqual({ 0: 'key of another run' });
    expect(parameters.get(`${path}/0`)).toBe('key of another run');
  });

  it('does not make tokens under a key that functions do not accept yet, and makes none then', async () => {
    const { call, parameters } = createAws();
    const createKeys = createCreateKeys(call);
    await createKeys(request([0], 0));
    await expect(createKeys(update([0, 1], 1))).rejects.toThrow(
      'generation 1 is new, and functions that do not know it yet would refuse its tokens while this is deployed: deploy ' +
        'it once among the generations, then make it current',
    );
    expect([...parameters.keys()]).toEqual([`${path}/0`]);
    expect(ringOf(await createKeys(update([0], 0))).current).toBe(0);
  });

  it('refuses another key of KMS or name for tokens that live, and lets CloudFormation roll back', async () => {
    const { call } = createAws();
    const createKeys = createCreateKeys(call);
    await createKeys(request([0], 0));
    const other = '/deployment/data-keys/key-2';
    const moved = { ...update([0], 0), ResourceProperties: { ...update([0], 0).ResourceProperties, path: other } };
    await expect(createKeys(moved)).rejects.toThrow(
      `the keys under ${path} cannot become others, under ${other}: every token that lives would be unknown; keep the name ` +
        'of the deployment and its AWS KMS key, which rotates by itself',
    );
    expect(ringOf(await createKeys(update([0], 0))).wrapped).toEqual({ 0: 'key 1 of 0' });
  });

  it('fails by the refusal of KMS or SSM, with no key half made', async () => {
    const { call, parameters, operations, refusal } = createAws();
    operations['TrentService.GenerateDataKeyWithoutPlaintext'] = () => {
      throw refusal('TrentService.GenerateDataKeyWithoutPlaintext', 'KMSInvalidStateException');
    };
    const createKeys = createCreateKeys(call);
    await expect(createKeys(request([0], 0))).rejects.toThrow('KMSInvalidStateException');
    expect(parameters.size).toBe(0);
    operations['AmazonSSM.GetParameter'] = () => {
      throw refusal('AmazonSSM.GetParameter', 'AccessDeniedException');
    };
    await expect(createKeys(request([0], 0))).rejects.toThrow('AccessDeniedException');
  });

  it('removes the ring when its resource is deleted, which CloudFormation asks for only where it was told to', async () => {
    const { call, parameters } = createAws();
    const createKeys = createCreateKeys(call);
    await createKeys(request([0, 1], 0));
    parameters.delete(`${path}/1`);
    const deletion = { ...update([0, 1], 0), RequestType: 'Delete' as const };
    expect(await createKeys(deletion)).toEqual({ PhysicalResourceId: path });
    expect(parameters.size).toBe(0);
  });
});
