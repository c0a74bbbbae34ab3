import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** What a child process answers next. */
export async function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  const answered = once(child, 'message');
  child.send(message);
  return (await answered)[0];
}
