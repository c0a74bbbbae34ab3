import { ConfigurationError, type Fault, pathText } from './faults.ts';

// JSON.parse says where only sometimes, quotes the text (which may be a secret) when it does not, and takes the second of
// two equal names without a word. So the text is walked through once before JSON.parse reads it.

/**
 * The value of a JSON text, and a fault for each name that an object has twice.
 *
 * @throws {ConfigurationError} the text is not JSON: line and column of the first place that cannot be, and what could
 */
export function readJson(text: string): { json: unknown; repeated: Fault[] } {
  const repeated: Fault[] = [];
  const lexeme = /[ \t\n\r]*([{}[\],:]|"(?:[^"\\\n\r]|\\.)*"|[^\s{}[\],:"]+|[\s\S]|$)/y;
  let current = '';

  const advance = () => {
    current = lexeme.exec(text)?.[1] ?? '';
  };
  const refuse = (accepted: string): never => {
    const lines = text.slice(0, lexeme.lastIndex - current.length).split('\n');
    const path = `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
    const kind =
      current === '' ? 'the end of the text' : /^[{}[\],:]$/.test(current) ? current : 'text that is not JSON';
    throw new ConfigurationError([{ path, kind, accepted }]);
  };
  /** Whether another element follows; past `end` when none does. */
  const continues = (end: string): boolean => {
    const comma = current === ',';
    if (!comma && current !== end) refuse(`, or ${end}`);
    advance();
    return comma;
  };
  const list = (path: readonly unknown[]) => {
    advance();
    if (current === ']') return advance();
    let index = 0;
    do value([...path, index++]);
    while (continues(']'));
  };
  const object = (path: readonly unknown[]) => {
    advance();
    if (current === '}') return advance();
    const names = new Set<unknown>();
    do {
      const name = scalar(current);
      if (typeof name !== 'string') return refuse('a name in double quotes');
      if (names.has(name)) {
        repeated.push({
          path: pathText([...path, name]),
          kind: 'a second one of this name',
          accepted: 'each name once',
        });
      }
      names.add(name);
      advance();
      if (current !== ':') refuse(':');
      advance();
      value([...path, name]);
    } while (continues('}'));
  };
  const value = (path: readonly unknown[]) => {
    if (current === '{') object(path);
    else if (current === '[') list(path);
    else if (scalar(current) !== undefined) advance();
    else refuse('a value: an object, a list, text in double quotes, a number, true, false or null');
  };

  advance();
  value([]);
  if (current !== '') refuse('nothing after the value');
  return { json: JSON.parse(text), repeated };
}

/** Text, number, boolean or null; `undefined` if this is none of them. */
function scalar(lexeme: string): unknown {
  try {
    const value: unknown = JSON.parse(lexeme);
    return typeof value === 'object' && value !== null ? undefined : value;
  } catch {
    return undefined;
  }
}
