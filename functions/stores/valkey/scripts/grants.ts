import { get, keep, patch, put, script } from './script.ts';

// A grant: g, until, leaves, revoked (0: not), pointer, the one before, when it changed, own (until when some access tokens
// are keys of their own), length of what stands before the refresh token ·
// end, attempt, created · sender · client · attempt that added the refresh token · ends of access tokens · which names there
// are · subject, application, consent · data ·
// refresh token · retired one · access tokens
//   refresh token   end, idle end, issued, foreign, digest
//   retired one     half of its digest, attempt, when, sealed
//   access token    length of the entry, end, revoked, issued, attempt, foreign, digest, data
// Each part of no fixed length comes after its length: client, subject, application and consent in two bytes, the retired one
// in four, the others in one. What a rotation replaces stands together, and at the end, so that it is cut off and put there.
// In place of a grant: r, until, leaves, revoked: it was revoked before it came. b, until, leaves, milliseconds: what was
// authorized up to then is barred.

/** Where an access token stands, from there on. */
export const find = `
local function find(s, p, digest)
  while p <= #s do
    local n = struct.unpack('>I2', s, p)
    if string.sub(s, p + 24, p + 23 + string.byte(s, p + 23)) == digest then return p end
    p = p + n
  end
end
`;

/** Where the access tokens begin. */
export const tokensOf = `
local function tokensOf(s)
  local c = struct.unpack('>I4', s, 30)
  local n = string.byte(s, c + 1)
  return c + n + 6 + struct.unpack('>I4', s, c + n + 2)
end
`;

/** What stands before the refresh token, with another sender, attempt of the refresh token, and ends. */
export const amended = `${patch}
local function amended(head, sender, ra, ends)
  local _, client, _, _, pos = struct.unpack('>Bc0I2c0Bc0Bc0', head, 50)
  head = string.sub(head, 1, 49)..struct.pack('>Bc0I2c0Bc0Bc0', #sender, sender, #client, client, #ra, ra, #ends, ends)..string.sub(head, pos)
  return with(head, 30, struct.pack('>I4', #head))
end
`;

// Adds an access token to those in the record, or as a key of its own where there is no room. Gives both parts; or nothing
// and why: 'full', the caller is to come again with the keys, or 'conflict'. What has expired stays for five minutes, for
// clocks that differ and for those who ask what became of it.
const add = `
local function add(head, tokens, entry, attempt, now)
  local digest = string.sub(entry, 25, 24 + string.byte(entry, 24))
  local function conflict(other, p)
    if string.sub(other, p + 14, p + 21) == attempt then return head, tokens end
    return nil, 'conflict'
  end
  if string.find(tokens, digest, 1, true) then
    ${find}
    local p = find(tokens, 1, digest)
    if p then return conflict(tokens, p) end
  end
  if #tokens > 256 then
    local p, kept = 1, {}
    while p <= #tokens do
      local n, x = struct.unpack('>I2I4', tokens, p)
      if x + 300 > now then kept[#kept + 1] = string.sub(tokens, p, p + n - 1) end
      p = p + n
    end
    tokens = table.concat(kept)
  end
  local own = struct.unpack('>I4', head, 26)
  if own + 300 <= now and #tokens + #entry <= 1024 then return head, tokens..entry end
  if #KEYS == 1 then return nil, 'full' end
  local e = redis.call('GET', KEYS[2])
  if e then return conflict(e, 1) end
  local x = struct.unpack('>I4', entry, 3)
  local ms = math.max(x + 300 - now, 1) * 1000
  redis.call('SET', KEYS[2], entry, 'PX', ms)
  redis.call('ZADD', KEYS[3], 0, 'e'..struct.pack('>I4', x)..digest)
  for _, m in ipairs(redis.call('ZRANGE', KEYS[3], '-', '(e'..struct.pack('>I4', math.max(now - 300, 0)), 'BYLEX', 'LIMIT', 0, 10)) do redis.call('ZREM', KEYS[3], m) end
  if redis.call('PTTL', KEYS[3]) < ms then redis.call('PEXPIRE', KEYS[3], ms) end
  ${patch}
  return with(head, 26, struct.pack('>I4', math.max(own, x))), tokens
end
`;

// Moves until when a grant is kept, never back. Gives nothing beyond its pointers, which are to be written first.
const retained = `
local function retained(head, until_, given, now)
  local u, y, y0, ya = struct.unpack('>I4xxxxxxxxI4I4I4', head, 2)
  if until_ <= u then return head end
  if until_ > y then
    if given < until_ then return end
    -- A listing goes by the pointer that a grant had when the listing began, so one change is remembered for two hours.
    if now - ya > 7200 then y0 = y ya = now end
    y = given
  end
  ${patch}
  return with(with(head, 2, struct.pack('>I4', until_)), 14, struct.pack('>I4I4I4', y, y0, ya))
end
`;

// In place of a record that was kept until u.
const write = `
local function write(u, s, clock, idle)
  local until_, l = struct.unpack('>I4I4', s, 2)
  if until_ == u and (idle == 0 or l == 0) then redis.call('SET', KEYS[1], s, 'KEEPTTL') return end
  ${put}
  put(KEYS[1], s, clock, idle)
end
`;

/** KEYS grant[, token, tokens]. ARGV clock, idle, authorized at (-1: not known) · attempt · record · access token of its own. */
export const persist = script(`${get}${put}
local clock, idle, at = struct.unpack('>I4I4d', ARGV[1])
local s = get(KEYS[1], clock)
if s then
  if string.byte(s) == 98 then
    if at >= 0 and at <= struct.unpack('>d', s, 10) then return {'barred'} end
  else
    if struct.unpack('>I4', s, 10) > 0 then return {'revoked', s} end
    if string.sub(s, 38, 45) == ARGV[2] then return {'persisted'} end
    return {'conflict', s}
  end
end
if ARGV[4] ~= '' then
  ${add}${patch}
  add(with(ARGV[3], 26, struct.pack('>I4', 4294966995)), '', ARGV[4], ARGV[2], clock)
end
put(KEYS[1], ARGV[3], clock, idle)
return {'persisted'}
`);

/** KEYS grant[, token, tokens]. ARGV clock, idle, now, retain until, pointer until · attempt · access token. */
export const addAccess = script(`${get}${tokensOf}${retained}${add}${write}
local clock, idle, now, until_, given = struct.unpack('>I4I4I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 then return {s and string.byte(s) == 114 and 'revoked' or 'unknown'} end
local u, v, gx = struct.unpack('>I4xxxxI4xxxxxxxxxxxxxxxxxxxxI4', s, 2)
if v > 0 then return {'revoked'} end
if gx <= now then return {'expired'} end
local p = tokensOf(s)
local head, tokens = retained(string.sub(s, 1, p - 1), until_, given, clock)
if not head then return {'point', s} end
head, tokens = add(head, string.sub(s, p), ARGV[3], ARGV[2], clock)
if not head then return {tokens, s} end
write(u, head..tokens, clock, idle)
return {'added'}
`);

/** KEYS grant. ARGV clock, idle, now, retain until, pointer until · attempt · refresh token after its length · sender. */
export const addRefresh = script(`${get}${retained}${amended}${write}
local clock, idle, now, until_, given = struct.unpack('>I4I4I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 then return {s and string.byte(s) == 114 and 'revoked' or 'unknown'} end
local u, v, c, gx = struct.unpack('>I4xxxxI4xxxxxxxxxxxxxxxxI4I4', s, 2)
if v > 0 then return {'revoked'} end
if gx <= now then return {'expired'} end
local _, _, ra, ends = struct.unpack('>Bc0I2c0Bc0Bc0', s, 50)
if ra == ARGV[2] then return {'added'} end
if string.byte(s, c + 1) > 0 then return {'conflict', s} end
local head = retained(string.sub(s, 1, c), until_, given, clock)
if not head then return {'point', s} end
write(u, amended(head, ARGV[4], ARGV[2], ends)..ARGV[3]..string.sub(s, c + 2), clock, idle)
return {'added'}
`);

/**
 * KEYS grant[, token, tokens]. ARGV, in one: clock, idle, now, retain until, pointer until, grace seconds, whether the
 * presented token goes on · digest · client · sender · what stands in place of refresh token and retired one, or the idle end
 * of the one that goes on · access token · attempt. Of one that is rotated, the part before its refresh token.
 */
export const rotate = script(`${get}${add}${write}
local clock, idle, now, until_, given, grace, kept, digest, clientId, by, next, access, attempt = struct.unpack('>I4I4I4I4I4I4I4I4c0I4c0I4c0I4c0I4c0c8', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 then return {'unknown'} end
local u, v, c, gx, sender, client = struct.unpack('>I4xxxxI4xxxxxxxxxxxxxxxxI4I4xxxxxxxxxxxxBc0I2c0', s, 2)
if client ~= clientId or (sender ~= '' and sender ~= by) then return {'mismatched'} end
local n = string.byte(s, c + 1)
local m = struct.unpack('>I4', s, c + n + 2)
local p = c + n + 6
if n > 0 and string.sub(s, c + 15, c + n + 1) == digest then
  if v > 0 then return {'revoked'} end
  local rx, ri = struct.unpack('>I4I4', s, c + 2)
  if rx <= now or ri <= now or gx <= now then return {'expired'} end
  local head, tokens = string.sub(s, 1, c), string.sub(s, p + m)
  if until_ > u then
    ${retained}
    head = retained(head, until_, given, clock)
    if not head then return {'point', s} end
  end
  if access ~= '' then
    head, tokens = add(head, tokens, access, attempt, clock)
    if not head then return {tokens, s} end
  end
  if kept == 1 then
    ${patch}
    local old = string.sub(s, c + 1, p + m - 1)
    next = next == '' and old or with(old, 6, next)
  end
  write(u, head..next..tokens, clock, idle)
  return head
end
if m > 0 and string.sub(s, p, p + 15) == string.sub(digest, 1, 16) then
  local by_, at = struct.unpack('>c8I4', s, p + 16)
  if by_ == attempt or now < at + grace then
    if v > 0 then return {'revoked'} end
    if gx <= now then return {'expired'} end
    return {by_ == attempt and 'rotated' or 'retried', s, string.sub(s, p + 28, p + m - 1)}
  end
end
if v == 0 then
  ${keep}${patch}
  keep(KEYS[1], with(s, 10, struct.pack('>I4', now)), clock, idle)
end
return {'reused', s}
`);
