import { createHash } from 'node:crypto';

// One script for each operation that decides something. All keys stand in KEYS, of one slot; numbers come packed, since a
// script reads one packed argument faster than many texts. None is without a key, so that ElastiCache Serverless takes it.

export interface Script {
  readonly text: string;
  /** SHA-1 of the text, by which a server that has seen it knows it. */
  readonly sha: string;
}

export const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

/** What ends something must not fail for want of memory. (Redis 7 and Valkey read the first line.) */
export const ending = (text: string): Script => script(`#!lua flags=allow-oom\n${text}`);

// A record begins with what it is (a letter), until when it is kept, and when it leaves the cache for its age: 4294967295
// never, 0 that no limit of the cache concerns it. A record that is due by the caller's clock
// is not there, whether or not the server has collected it, which it does a minute late, for clocks that differ. `clock` is
// the caller's clock, `now` the time that the call is about. Numbers are big-endian, of four bytes.

/** What scripts have in common. Each defines what it needs and no more, for a definition is carried out with every call. */
export const get = `
local function get(k, clock)
  local s = redis.call('GET', k)
  if s and struct.unpack('>I4', s, 2) > clock then return s end
end
`;

export const put = `
local function put(k, s, now, idle)
  local _, u, l = struct.unpack('>c1I4I4', s)
  local e = u
  if l > 0 and l < e then e = l end
  if l > 0 and idle > 0 and now + idle < e then e = now + idle end
  if e == 4294967295 then redis.call('SET', k, s) return end
  redis.call('SET', k, s, 'PX', math.max((e - now) * 1000 + (e == u and 60000 or 0), 1))
end
`;

/** In place of a record that is kept until the same time: its expiry is not reckoned anew from another's clock. */
export const change = `
local function change(k, s, now, idle)
  if idle > 0 and struct.unpack('>I4', s, 6) > 0 then
    ${put}
    return put(k, s, now, idle)
  end
  redis.call('SET', k, s, 'KEEPTTL')
end
`;

/** In place of a record that no limit of the cache concerns from now on. */
export const keep = `
local function keep(k, s, now, idle)
  local l = struct.unpack('>I4', s, 6)
  s = string.sub(s, 1, 5)..struct.pack('>I4', 0)..string.sub(s, 10)
  if l == 0 or (l == 4294967295 and idle == 0) then redis.call('SET', k, s, 'KEEPTTL') return end
  ${put}
  put(k, s, now, 0)
end
`;

/** The same with other bytes from there on. */
export const patch = `
local function with(s, p, bytes) return string.sub(s, 1, p - 1)..bytes..string.sub(s, p + #bytes) end
`;

/** KEYS record. ARGV clock, idle. The record, which counts as used. */
export const touch = script(`
local clock, idle = struct.unpack('>I4I4', ARGV[1])
local s = redis.call('GET', KEYS[1])
if not s then return false end
local u, l = struct.unpack('>I4I4', s, 2)
if l > 0 then redis.call('PEXPIRE', KEYS[1], math.max((math.min(u, l, clock + idle) - clock) * 1000, 1)) end
return s
`);

/** KEYS record. ARGV clock. Removes a record; what it was, if it was not due. */
export const drop = script(`${get}
local s = get(KEYS[1], struct.unpack('>I4', ARGV[1]))
redis.call('DEL', KEYS[1])
return s or false
`);

/** KEYS token. ARGV clock, idle · record. A client's token, in place of the one before. */
export const putToken = script(`${put}
local clock, idle = struct.unpack('>I4I4', ARGV[1])
put(KEYS[1], ARGV[2], clock, idle)
return 1
`);
