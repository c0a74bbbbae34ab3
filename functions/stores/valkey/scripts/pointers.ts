import { ending, get, put, script } from './script.ts';

// A set of pointers: members of one score, so that they stand in the order of their bytes and none ever moves.
//   e, until when it leads somewhere, to what
//   m, a selector, milliseconds, until: the mark of a revocation by that selector
const pointers = `
local function outlive(k, until_, now)
  if until_ == 4294967295 then redis.call('PERSIST', k) return end
  local t, ms = redis.call('PTTL', k), (until_ - now) * 1000 + 60000
  if t < 0 and redis.call('ZCARD', k) > 1 then return end
  if t < ms then redis.call('PEXPIRE', k, math.max(ms, 1)) end
end
`;

/** KEYS set. ARGV clock, until · member · selectors …  Adds a pointer, and gives the latest revocation by one of the selectors, in milliseconds. */
export const point = script(`${pointers}
local clock, until_ = struct.unpack('>I4I4', ARGV[1])
redis.call('ZADD', KEYS[1], 0, ARGV[2])
outlive(KEYS[1], until_, clock)
for _, m in ipairs(redis.call('ZRANGE', KEYS[1], '[e', '(e'..struct.pack('>I4', clock), 'BYLEX', 'LIMIT', 0, 10)) do redis.call('ZREM', KEYS[1], m) end
local last = -1
for i = 3, #ARGV do
  for _, m in ipairs(redis.call('ZRANGE', KEYS[1], '[m'..ARGV[i], '(m'..ARGV[i]..string.rep('\\255', 13), 'BYLEX')) do
    local ms, u = struct.unpack('>dI4', m, 18)
    if u > clock then last = math.max(last, ms) end
  end
end
return last
`);

/** KEYS set. ARGV clock, until, milliseconds, how many · selector. Marks a revocation, and gives the first pointers. */
export const mark = ending(`${pointers}
local clock, until_, ms, limit = struct.unpack('>I4I4dI4', ARGV[1])
local last = until_
for _, m in ipairs(redis.call('ZRANGE', KEYS[1], '[m', '(n', 'BYLEX')) do
  local at, u = struct.unpack('>dI4', m, 18)
  if string.sub(m, 2, 17) == ARGV[2] and u > clock then
    ms, last = math.max(ms, at), math.max(last, u)
    redis.call('ZREM', KEYS[1], m)
  elseif u <= clock then
    redis.call('ZREM', KEYS[1], m)
  end
end
redis.call('ZADD', KEYS[1], 0, 'm'..ARGV[2]..struct.pack('>dI4', ms, last))
outlive(KEYS[1], last, clock)
return redis.call('ZRANGE', KEYS[1], '[e'..struct.pack('>I4', clock), '(f', 'BYLEX', 'LIMIT', 0, limit)
`);

/** KEYS set. ARGV member. */
export const unpoint = script(`return redis.call('ZREM', KEYS[1], ARGV[1])`);

/**
 * KEYS digest. ARGV clock, until · grant · one that it may be taken from. Leads a foreign digest to its grant: 1 newly, 2 as
 * before; or gives where it leads.
 */
export const claim = script(`${get}${put}
local clock, until_ = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
local led = s and string.sub(s, 10)
if led and led ~= ARGV[2] and led ~= ARGV[3] then return s end
if led == ARGV[2] then until_ = math.max(until_, (struct.unpack('>I4', s, 2))) end
put(KEYS[1], struct.pack('>c1I4I4', 'f', until_, 0)..ARGV[2], clock, 0)
return led == ARGV[2] and 2 or 1
`);

/** KEYS digest. ARGV grant. */
export const release = script(`
local s = redis.call('GET', KEYS[1])
if s and string.sub(s, 10) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`);
