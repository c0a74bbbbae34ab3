import type { BindParameters, Connection } from 'oracledb';
import oracledb from 'oracledb';
import { vi } from 'vitest';

// What goes to the driver, without a server: the module's own connections are replaced by some that write down what they are
// asked, and answer with nothing.

/** A call of the driver. */
export interface Sent {
  readonly text: string;
  readonly binds: Readonly<Record<string, { dir: number; type: object; val?: unknown; maxSize?: number }>>;
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * From now on, every connection writes down here what is sent. `answer` gives rows or binds in answer to a text; `ended` is told
 * of a connection that is not waited for any more.
 */
export function recordSent(
  answer: (text: string) => object | Promise<object> = () => ({}),
  ended: (reason: Error) => void = () => {},
): Sent[] {
  const sent: Sent[] = [];
  const connection = {
    callTimeout: 0,
    _impl: { nscon: { forceDisconnect: ended } },
    isHealthy: () => true,
    async execute(text: string, binds: BindParameters = {}, options: object = {}) {
      sent.push({ text, binds: binds as Sent['binds'], options: { ...options } });
      return answer(text);
    },
    ping: async () => {},
    rollback: async () => {},
    close: async () => {},
  };
  vi.spyOn(oracledb, 'getConnection').mockImplementation(async () => connection as unknown as Connection);
  return sent;
}
