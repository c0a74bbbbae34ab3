/** One line of JSON per event, as CloudWatch Logs reads it. Never a token, a secret or a request: only what is named. */
export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

export const standardLog: Log = (level, message, fields) => {
  process.stdout.write(`${JSON.stringify({ level, message, ...fields })}\n`);
};

/** What may be said of a failure: names, codes and messages of the chain of causes, never their values. */
export function failureFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error };
  const { name, message, code, cause } = error as Error & { code?: unknown };
  return {
    error: name,
    ...(code !== undefined && { code }),
    detail: message,
    ...(cause !== undefined && { cause: failureFields(cause) }),
  };
}
