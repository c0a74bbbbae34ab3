import * as v from 'valibot';
import { kindOf, pathText } from './config/faults.ts';
import { bodyText, type HttpEvent, invalidRequest, mediaType, RequestError } from './http.ts';

/** Objects and lists within each other; nobody needs as many, and what writes records goes down as far. */
const MOST_LEVELS = 16;

/**
 * The JSON body of a request, as the schema makes it.
 *
 * @throws {RequestError} invalid_request with all faults at once: field, kind of value, what is accepted
 */
export function jsonBody<Schema extends v.GenericSchema>(event: HttpEvent, schema: Schema): v.InferOutput<Schema> {
  if (mediaType(event) !== 'application/json') {
    throw new RequestError(415, 'invalid_request', 'the body is not application/json');
  }
  return checked(parsed(bodyText(event)), schema);
}

/** The same for members that came in another way. */
export function checked<Schema extends v.GenericSchema>(members: unknown, schema: Schema): v.InferOutput<Schema> {
  const result = v.safeParse(schema, members);
  if (result.success) return result.output;
  const faults = result.issues.map(({ path, input, message }) => {
    const place = pathText(path?.map(({ key }) => key) ?? []);
    return `${place || 'the request'}: found ${kindOf(input)}; accepted: ${message}`;
  });
  throw invalidRequest([...new Set(faults)].join('. ').slice(0, 2000));
}

function parsed(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its message would quote the text.
    throw invalidRequest('the body is not JSON');
  }
  // The text is JSON from here on: a string before a colon is a member's name. JSON.parse takes the second of two equal
  // names without a word.
  const open: Set<string>[] = [];
  for (const [lexeme] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (lexeme === '{' || lexeme === '[') open.push(new Set());
    else if (lexeme === '}' || lexeme === ']') open.pop();
    else if (lexeme.endsWith(':')) {
      const name = lexeme.slice(0, lexeme.lastIndexOf('"') + 1);
      const names = open.at(-1);
      const unescaped: string = name.includes('\\') ? JSON.parse(name) : name.slice(1, -1);
      if (names?.has(unescaped)) throw invalidRequest('a member is given twice');
      names?.add(unescaped);
    }
    if (open.length > MOST_LEVELS) throw invalidRequest(`more than ${MOST_LEVELS} levels of objects and lists`);
  }
  return value;
}
