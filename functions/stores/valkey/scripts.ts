import { createHash } from 'node:crypto';

// One script for each operation that decides something. All keys stand in KEYS, of one slot; numbers come packed, since a
// script reads one packed argument faster than many texts. None is without a key, so that ElastiCache Serverless takes it.

export interface Script {
  readonly text: string;
  /** SHA-1 of the text, by which a server that has seen it knows it. */
  readonly sha: string;
}

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

/** What ends something must not fail for want of memory. (Redis 7 and Valkey read the first line.) */
const ending = (text: string): Script => script(`#!lua flags=allow-oom\n${text}`);

// A record begins with what it is (a letter), until when it is kept, and when it leaves the cache for its age: 4294967295
// never, 0 that no limit of the cache concerns it. A record that is due by the caller's clock
// is not there, whether or not the server has collected it, which it does a minute late, for clocks that differ. `clock` is
// the caller's clock, `now` the time that the call is about.
const record = `
local NONE = 4294967295
local function get(k, clock)
  local s = redis.call('GET', k)
  if s and struct.unpack('>I4', s, 2) > clock then return s end
end
local function put(k, s, now, idle)
  local _, u, l = struct.unpack('>c1I4I4', s)
  local e = u
  if l > 0 and l < e then e = l end
  if l > 0 and idle > 0 and now + idle < e then e = now + idle end
  if e == NONE then redis.call('SET', k, s) return end
  redis.call('SET', k, s, 'PX', math.max((e - now) * 1000 + (e == u and 60000 or 0), 1))
end
-- In place of a record that is kept until the same time: its expiry is not reckoned anew from another's clock.
local function change(k, s, now, idle)
  if idle > 0 and struct.unpack('>I4', s, 6) > 0 then return put(k, s, now, idle) end
  redis.call('SET', k, s, 'KEEPTTL')
end
-- From now on no limit of the cache concerns it.
local function keep(k, s, now, idle)
  local l = struct.unpack('>I4', s, 6)
  s = string.sub(s, 1, 5)..struct.pack('>I4', 0)..string.sub(s, 10)
  if l == 0 or (l == NONE and idle == 0) then redis.call('SET', k, s, 'KEEPTTL') else put(k, s, now, 0) end
end
`;

// A grant: g, until, leaves, revoked (0: not) | pointer, the one before, when it changed | own (until when some access
// tokens are keys of their own) | refresh token | sender | attempt that added it | retired one | ends of access tokens |
// access tokens || attempt, created, ends, which names there are | client, subject, application, consent | data
//   refresh token   end, idle end, issued, foreign, digest
//   retired one     half of its digest, attempt, when, sealed
//   access token    length of the entry, end, revoked, issued, attempt, foreign, digest, data
// In place of a grant: r, until, leaves, revoked: it was revoked before it came. b, until, leaves, milliseconds: what was
// authorized up to then is barred.
const grant = `
${record}
local FORM = '>c1I4I4I4I4I4I4I4Bc0Bc0Bc0I4c0Bc0I2c0'
local function pack(u, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens)
  return struct.pack(FORM, 'g', u, l, v, y, y0, ya, own, #refresh, refresh, #sender, sender, #ra, ra, #retired, retired, #ends, ends, #tokens, tokens)
end
local function is(s) return s and string.byte(s) == 103 end
local function revoked(s, at) return string.sub(s, 1, 9)..struct.pack('>I4', at)..string.sub(s, 14) end
local function find(tokens, digest)
  local p = 1
  while p <= #tokens do
    local n = struct.unpack('>I2', tokens, p)
    if string.sub(tokens, p + 24, p + 23 + string.byte(tokens, p + 23)) == digest then return p end
    p = p + n
  end
end
local function digestOf(entry) return string.sub(entry, 25, 24 + string.byte(entry, 24)) end
local function attemptOf(entry, p) return string.sub(entry, p + 14, p + 21) end
-- What has expired stays for five minutes, for clocks that differ and for those who ask what became of it.
local function live(tokens, now)
  local p, kept = 1, {}
  while p <= #tokens do
    local n, x = struct.unpack('>I2I4', tokens, p)
    if x + 300 > now then kept[#kept + 1] = string.sub(tokens, p, p + n - 1) end
    p = p + n
  end
  return table.concat(kept)
end
-- Adds an access token to those in the record, or as a key of its own where there is no room. Gives the tokens and own;
-- or 'full': the caller is to come again with the keys; or 'conflict'.
local function add(tokens, own, entry, attempt, now)
  local digest = digestOf(entry)
  local p = string.find(tokens, digest, 1, true) and find(tokens, digest)
  if p then
    if attemptOf(tokens, p) == attempt then return tokens, own end
    return 'conflict'
  end
  if #tokens > 256 then tokens = live(tokens, now) end
  if own + 300 <= now and #tokens + #entry <= 1024 then return tokens..entry, own end
  if #KEYS == 1 then return 'full' end
  local x = struct.unpack('>I4', entry, 3)
  local e = redis.call('GET', KEYS[2])
  if e then
    if attemptOf(e, 1) == attempt then return tokens, own end
    return 'conflict'
  end
  local ms = math.max(x + 300 - now, 1) * 1000
  redis.call('SET', KEYS[2], entry, 'PX', ms)
  redis.call('ZADD', KEYS[3], 0, 'e'..struct.pack('>I4', x)..digest)
  for _, m in ipairs(redis.call('ZRANGE', KEYS[3], '-', '(e'..struct.pack('>I4', math.max(now - 300, 0)), 'BYLEX', 'LIMIT', 0, 10)) do redis.call('ZREM', KEYS[3], m) end
  if redis.call('PTTL', KEYS[3]) < ms then redis.call('PEXPIRE', KEYS[3], ms) end
  return tokens, math.max(own, x)
end
-- Moves until when a grant is kept, never back. 'point': beyond its pointers, which are to be written first.
local function retain(u, until_, y, y0, ya, given, now)
  if until_ <= u then return u, y, y0, ya end
  if until_ > y then
    if given < until_ then return 'point' end
    -- A listing goes by the pointer that a grant had when the listing began, so one change is remembered for two hours.
    if now - ya > 7200 then y0 = y ya = now end
    y = given
  end
  return until_, y, y0, ya
end
`;

/** KEYS grant[, token, tokens]. ARGV clock, idle, authorized at (-1: not known) · attempt · record · access token of its own. */
export const persist = script(`${grant}
local clock, idle, at = struct.unpack('>I4I4d', ARGV[1])
local s = get(KEYS[1], clock)
if s then
  if string.byte(s) == 98 then
    if at >= 0 and at <= struct.unpack('>d', s, 10) then return {'barred'} end
  else
    if struct.unpack('>I4', s, 10) > 0 then return {'revoked', s} end
    local pos = select(-1, struct.unpack(FORM, s))
    if string.sub(s, pos, pos + 7) == ARGV[2] then return {'persisted'} end
    return {'conflict', s}
  end
end
if ARGV[4] ~= '' then add('', NONE - 300, ARGV[4], ARGV[2], clock) end
put(KEYS[1], ARGV[3], clock, idle)
return {'persisted'}
`);

/** KEYS grant[, token, tokens]. ARGV clock, idle, now, retain until, pointer until · attempt · access token. */
export const addAccess = script(`${grant}
local clock, idle, now, until_, given = struct.unpack('>I4I4I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not is(s) then return {s and string.byte(s) == 114 and 'revoked' or 'unknown'} end
local _, u, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens, pos = struct.unpack(FORM, s)
if v > 0 then return {'revoked'} end
if struct.unpack('>I4', s, pos + 12) <= now then return {'expired'} end
local moved
moved, y, y0, ya = retain(u, until_, y, y0, ya, given, clock)
if moved == 'point' then return {'point', s} end
tokens, own = add(tokens, own, ARGV[3], ARGV[2], clock)
if tokens == 'full' or (tokens == 'conflict' and not own) then return {tokens, s} end
local r = pack(moved, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens)..string.sub(s, pos)
if moved > u then put(KEYS[1], r, clock, idle) else change(KEYS[1], r, clock, idle) end
return {'added'}
`);

/** KEYS grant. ARGV clock, idle, now, retain until, pointer until · attempt · refresh token · sender. */
export const addRefresh = script(`${grant}
local clock, idle, now, until_, given = struct.unpack('>I4I4I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not is(s) then return {s and string.byte(s) == 114 and 'revoked' or 'unknown'} end
local _, u, l, v, y, y0, ya, own, refresh, _, ra, retired, ends, tokens, pos = struct.unpack(FORM, s)
if v > 0 then return {'revoked'} end
if struct.unpack('>I4', s, pos + 12) <= now then return {'expired'} end
if ra == ARGV[2] then return {'added'} end
if refresh ~= '' then return {'conflict', s} end
local moved
moved, y, y0, ya = retain(u, until_, y, y0, ya, given, clock)
if moved == 'point' then return {'point', s} end
local r = pack(moved, l, v, y, y0, ya, own, ARGV[3], ARGV[4], ARGV[2], retired, ends, tokens)..string.sub(s, pos)
if moved > u then put(KEYS[1], r, clock, idle) else change(KEYS[1], r, clock, idle) end
return {'added'}
`);

/**
 * KEYS grant[, token, tokens]. ARGV, in one: clock, idle, now, retain until, pointer until, grace seconds, what comes (0 a
 * refresh token, 1 none, 2 the presented one goes on), digest, attempt, client, sender, refresh token or idle end, retired,
 * access token.
 */
export const rotate = script(`${grant}
local clock, idle, now, until_, given, grace, mode, digest, attempt, clientId, by, next, past, access = struct.unpack('>I4I4I4I4I4I4I4I4c0I4c0I4c0I4c0I4c0I4c0I4c0', ARGV[1])
local s = redis.call('GET', KEYS[1])
if not s or string.byte(s) ~= 103 then return {'unknown'} end
local _, u, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens, pos = struct.unpack(FORM, s)
if u <= clock then return {'unknown'} end
local gx, _, client = struct.unpack('>I4BI2c0', s, pos + 12)
if client ~= clientId or (sender ~= '' and sender ~= by) then return {'mismatched'} end
if refresh ~= '' and string.sub(refresh, 14) == digest then
  local rx, ri = struct.unpack('>I4I4', refresh)
  if v > 0 then return {'revoked'} end
  if rx <= now or ri <= now or gx <= now then return {'expired'} end
  local moved = u
  if until_ > u then
    moved, y, y0, ya = retain(u, until_, y, y0, ya, given, clock)
    if moved == 'point' then return {'point', s} end
  end
  if access ~= '' then
    tokens, own = add(tokens, own, access, attempt, clock)
    if not own then return {tokens, s} end
  end
  if mode == 2 then
    if next ~= '' then refresh = string.sub(refresh, 1, 4)..next..string.sub(refresh, 9) end
  else
    refresh, retired = next, past
  end
  local r = pack(moved, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens)..string.sub(s, pos)
  if moved > u then put(KEYS[1], r, clock, idle) else change(KEYS[1], r, clock, idle) end
  return {'rotated', r}
end
if retired ~= '' and string.sub(retired, 1, 16) == string.sub(digest, 1, 16) then
  local again = string.sub(retired, 17, 24) == attempt
  if again or now < struct.unpack('>I4', retired, 25) + grace then
    if v > 0 then return {'revoked'} end
    if gx <= now then return {'expired'} end
    return {again and 'rotated' or 'retried', s, string.sub(retired, 29)}
  end
end
if v == 0 then keep(KEYS[1], revoked(s, now), clock, idle) end
return {'reused', s}
`);

/** KEYS grant[, token]. ARGV clock, idle, now · digest · client, and whether it is given. 2: the token may be a key of its own. */
export const revokeAccess = ending(`${grant}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not is(s) then return 0 end
local _, _, _, v, _, _, _, own, _, _, _, _, ends, tokens, pos = struct.unpack(FORM, s)
if v > 0 then return 0 end
local _, _, client = struct.unpack('>I4BI2c0', s, pos + 12)
if ARGV[4] == '1' and client ~= ARGV[3] then return 0 end
local last = 0
if ends ~= '' then last = struct.unpack('>I4', ends, #ends - 3) end
local p = find(tokens, ARGV[2])
if p then
  local _, _, ended, issued = struct.unpack('>I2I4I4I4', tokens, p)
  if ended > 0 or (ends ~= '' and issued <= last) then return 0 end
  local o = pos - #tokens + p + 5
  change(KEYS[1], string.sub(s, 1, o - 1)..struct.pack('>I4', now)..string.sub(s, o + 4), clock, idle)
  return 1
end
if own == 0 then return 0 end
if #KEYS == 1 then return 2 end
local e = redis.call('GET', KEYS[2])
if not e then return 0 end
local _, _, ended, issued = struct.unpack('>I2I4I4I4', e)
if ended > 0 or (ends ~= '' and issued <= last) then return 0 end
redis.call('SET', KEYS[2], string.sub(e, 1, 6)..struct.pack('>I4', now)..string.sub(e, 11), 'KEEPTTL')
return 1
`);

/** KEYS grant. ARGV clock, idle, now · client, and whether it is given. Whether the grant has ended by it. */
export const endGrant = ending(`${grant}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not is(s) or struct.unpack('>I4', s, 10) > 0 then return 0 end
if ARGV[3] == '1' then
  local pos = select(-1, struct.unpack(FORM, s))
  local _, _, client = struct.unpack('>I4BI2c0', s, pos + 12)
  if client ~= ARGV[2] then return 0 end
end
keep(KEYS[1], revoked(s, now), clock, idle)
return 1
`);

/** KEYS grant. ARGV clock, idle, now, until. Ends the grant, or remembers that it is to be revoked when it comes. */
export const revokeGrant = ending(`${grant}
local clock, idle, now, until_ = struct.unpack('>I4I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if is(s) then
  if struct.unpack('>I4', s, 10) == 0 then keep(KEYS[1], revoked(s, now), clock, idle) end
  return 1
end
if s then until_ = math.max(until_, (struct.unpack('>I4', s, 2))) end
put(KEYS[1], struct.pack('>c1I4I4I4', 'r', until_, 0, now), clock, 0)
return 1
`);

/**
 * KEYS grant. ARGV clock, idle, revoked at, until (0: it is not barred), milliseconds · subject, client, application, consent, each after 1 where
 * it is given. Ends the grant if it is of these; one that is not there is barred. Whether it has ended by it.
 */
export const endMatching = ending(`${grant}
local clock, idle, at, until_, ms = struct.unpack('>I4I4I4I4d', ARGV[1])
local s = get(KEYS[1], clock)
if not is(s) then
  if until_ == 0 or (s and string.byte(s) == 114) then return 0 end
  if s then
    until_ = math.max(until_, (struct.unpack('>I4', s, 2)))
    ms = math.max(ms, (struct.unpack('>d', s, 10)))
  end
  put(KEYS[1], struct.pack('>c1I4I4d', 'b', until_, 0, ms), clock, 0)
  return 0
end
if struct.unpack('>I4', s, 10) > 0 then return 0 end
local pos = select(-1, struct.unpack(FORM, s))
local has, client, subject, application, consent = struct.unpack('>BI2c0I2c0I2c0I2c0', s, pos + 16)
local function differs(given, bit, value) return given ~= '' and (has % (bit * 2) < bit or string.sub(given, 2) ~= value) end
if differs(ARGV[2], 1, subject) or differs(ARGV[3], 2, client) or differs(ARGV[4], 4, application) or differs(ARGV[5], 8, consent) then return 0 end
keep(KEYS[1], revoked(s, at), clock, idle)
return 1
`);

/** KEYS grant. ARGV clock, idle, now. Every access token that was issued up to now has ended; of the ends the last eight are told apart. */
export const revokeAccessOfGrant = ending(`${grant}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not is(s) then return 0 end
local _, u, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens, pos = struct.unpack(FORM, s)
if ends == '' or struct.unpack('>I4', ends, #ends - 3) < now then ends = string.sub(ends..struct.pack('>I4', now), -32) end
change(KEYS[1], pack(u, l, v, y, y0, ya, own, refresh, sender, ra, retired, ends, tokens)..string.sub(s, pos), clock, idle)
return 1
`);

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
export const drop = script(`${record}
local s = get(KEYS[1], struct.unpack('>I4', ARGV[1]))
redis.call('DEL', KEYS[1])
return s or false
`);

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
export const claim = script(`${record}
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

// A code: c, until, leaves | redeemed, by · attempt | end | binding | grant | data.
/** KEYS code. ARGV clock, idle · attempt · record. */
export const addCode = script(`${record}
local clock, idle = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if s then return string.sub(s, 22, 29) == ARGV[2] and 1 or 0 end
put(KEYS[1], ARGV[3], clock, idle)
return 1
`);

/** KEYS code. ARGV clock, idle, now · attempt · binding. */
export const redeem = script(`${record}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s then return {'unknown'} end
local at, by, _, x, binding = struct.unpack('>I4c8c8I4Bc0', s, 10)
if binding ~= ARGV[3] then return {'mismatched'} end
if at > 0 then return {by == ARGV[2] and 'redeemed' or 'replayed', s} end
if x <= now then return {'expired'} end
s = string.sub(s, 1, 9)..struct.pack('>I4', now)..ARGV[2]..string.sub(s, 22)
keep(KEYS[1], s, clock, idle)
return {'redeemed', s}
`);

// An artifact: a, until, leaves | end, retain until | consumed, by, put by | which put | uid | user code | has consent,
// consent | data.
const artifact = `
${record}
local FORM = '>c1I4I4I4I4I4Bc0Bc0c8Bc0Bc0'
`;

/** KEYS artifact. ARGV clock, idle · begin · end of the record. Stores it, consumed if it was; gives what stood there. */
export const putArtifact = script(`${artifact}
local clock, idle = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s then
  put(KEYS[1], ARGV[2]..struct.pack('>I4BB', 0, 0, 0)..ARGV[3], clock, idle)
  return false
end
local _, _, _, _, _, at, by, first = struct.unpack(FORM, s)
local begin = ARGV[2]
if at > 0 or first ~= '' then begin = string.sub(begin, 1, 5)..struct.pack('>I4', 0)..string.sub(begin, 10) end
put(KEYS[1], begin..struct.pack('>I4Bc0Bc0', at, #by, by, #first, first)..ARGV[3], clock, idle)
return s
`);

/** KEYS artifact. ARGV clock, now · attempt · record. */
export const putArtifactOnce = script(`${artifact}
local clock, now = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if s then
  local _, _, _, x, _, _, _, first = struct.unpack(FORM, s)
  if first == ARGV[2] then return {1} end
  if x > now then return {0} end
end
put(KEYS[1], ARGV[3], clock, 0)
return {1, s or false}
`);

/** KEYS artifact. ARGV clock, idle, now · attempt. */
export const consume = script(`${artifact}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s then return 0 end
local _, _, _, x, _, at, by = struct.unpack(FORM, s)
if x <= now then return 0 end
if at > 0 then return by == ARGV[2] and 1 or 0 end
keep(KEYS[1], string.sub(s, 1, 17)..struct.pack('>I4Bc0', now, #ARGV[2], ARGV[2])..string.sub(s, 23), clock, idle)
return 1
`);

/** KEYS artifact. ARGV clock, idle · which put · which way, 1 uid, 2 user code · its value. Takes a way in from an artifact, unless it was put anew. */
export const loseWay = script(`${artifact}
local clock, idle = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s then return 0 end
local a, u, l, x, r, at, by, first, n, uid, code, pos = struct.unpack(FORM, s)
if n ~= ARGV[2] then return 0 end
if ARGV[3] == '1' and uid == ARGV[4] then uid = '' elseif ARGV[3] == '2' and code == ARGV[4] then code = '' else return 0 end
change(KEYS[1], struct.pack(FORM, a, u, l, x, r, at, #by, by, #first, first, n, #uid, uid, #code, code)..string.sub(s, pos), clock, idle)
return 1
`);

/** KEYS artifact. ARGV clock · consent. Removes the artifact if it goes with that consent, and gives it. */
export const dropOfConsent = script(`${artifact}
local s = get(KEYS[1], struct.unpack('>I4', ARGV[1]))
if not s then return false end
local pos = select(-1, struct.unpack(FORM, s))
local has, consent = struct.unpack('>BI2c0', s, pos)
if has == 0 or consent ~= ARGV[2] then return false end
redis.call('DEL', KEYS[1])
return s
`);

/** KEYS way. ARGV clock, until · which put · id. Leads a way in to an artifact, and gives where it led. */
export const lead = script(`${record}
local clock, until_ = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
put(KEYS[1], struct.pack('>c1I4I4', 'w', until_, 0)..ARGV[2]..ARGV[3], clock, 0)
return s or false
`);

/** KEYS way. ARGV which put. */
export const forgetWay = script(`
local s = redis.call('GET', KEYS[1])
if s and string.sub(s, 10, 17) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`);

/** KEYS token. ARGV clock, idle · record. */
export const putToken = script(`${record}
local clock, idle = struct.unpack('>I4I4', ARGV[1])
put(KEYS[1], ARGV[2], clock, idle)
return 1
`);
