import type { AttributeValue, ConsumedCapacity, DynamoDBClient } from '@aws-sdk/client-dynamodb';

export interface Units {
  readonly write: number;
  readonly read: number;
}

interface Answer {
  readonly ConsumedCapacity?: ConsumedCapacity | ConsumedCapacity[];
}

const WRITES = ['PutItemCommand', 'UpdateItemCommand', 'DeleteItemCommand'];
const KILOBYTE = 1024;

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
function sizeOf({ S, N, B, BOOL, L, M }: AttributeValue): number {
  if (S !== undefined) return Buffer.byteLength(S);
  if (N !== undefined) return Math.ceil(N.replace(/^-|\.|0+$/g, '').length / 2) + 1;
  if (B !== undefined) return B.length;
  if (BOOL !== undefined) return 1;
  if (L !== undefined) return L.reduce((sum, each) => sum + 1 + sizeOf(each), 3);
  return M === undefined ? 1 : 3 + Object.keys(M).length + itemSize(M);
}

/** Bytes of an item, by the rule of AWS. */
export const itemSize = (item: Record<string, AttributeValue>): number =>
  Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + sizeOf(value), 0);

/**
 * What calls are charged, over all clients from now on: as the server reports it. It reports nothing on a write that its
 * condition refused, which is charged by the size of the item that stands there, one unit at least.
 */
export function measureUnits(prototype: DynamoDBClient): (call: () => Promise<unknown>) => Promise<Units> {
  const original = prototype.send as (command: { input: object; constructor: { name: string } }) => Promise<Answer>;
  let write = 0;
  let read = 0;
  const send = async function measured(this: unknown, command: Parameters<typeof original>[0]) {
    const isWrite = WRITES.includes(command.constructor.name);
    const add = (units: number) => {
      if (isWrite) write += units;
      else read += units;
    };
    Object.assign(command.input, { ReturnConsumedCapacity: 'TOTAL' });
    try {
      const answer = await original.call(this, command);
      for (const { CapacityUnits = 0 } of [answer.ConsumedCapacity ?? []].flat()) add(CapacityUnits);
      return answer;
    } catch (error) {
      const { name, Item = {} } = error as { name?: string; Item?: Record<string, AttributeValue> };
      if (name === 'ConditionalCheckFailedException') add(Math.max(1, Math.ceil(itemSize(Item) / KILOBYTE)));
      throw error;
    }
  };
  Object.assign(prototype, { send });
  return async (call) => {
    write = 0;
    read = 0;
    await call();
    return { write, read };
  };
}
