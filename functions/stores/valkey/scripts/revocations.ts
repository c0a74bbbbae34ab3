import { amended, find, tokensOf } from './grants.ts';
import { change, ending, get, keep, patch, put } from './script.ts';

const revoke = `${keep}${patch}
local function revoke(s, at, clock, idle) keep(KEYS[1], with(s, 10, struct.pack('>I4', at)), clock, idle) end
`;

/** KEYS grant[, token]. ARGV clock, idle, now · digest · client, and whether it is given. 2: the token may be a key of its own. */
export const revokeAccess = ending(`${get}${tokensOf}${find}${change}${patch}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 then return 0 end
local v, own = struct.unpack('>I4xxxxxxxxxxxxI4', s, 10)
if v > 0 then return 0 end
local _, client, _, ends = struct.unpack('>Bc0I2c0Bc0Bc0', s, 50)
if ARGV[4] == '1' and client ~= ARGV[3] then return 0 end
local last = 0
if ends ~= '' then last = struct.unpack('>I4', ends, #ends - 3) end
local p = find(s, tokensOf(s), ARGV[2])
if p then
  local _, _, ended, issued = struct.unpack('>I2I4I4I4', s, p)
  if ended > 0 or (ends ~= '' and issued <= last) then return 0 end
  change(KEYS[1], with(s, p + 6, struct.pack('>I4', now)), clock, idle)
  return 1
end
if own == 0 then return 0 end
if #KEYS == 1 then return 2 end
local e = redis.call('GET', KEYS[2])
if not e then return 0 end
local _, _, ended, issued = struct.unpack('>I2I4I4I4', e)
if ended > 0 or (ends ~= '' and issued <= last) then return 0 end
redis.call('SET', KEYS[2], with(e, 7, struct.pack('>I4', now)), 'KEEPTTL')
return 1
`);

/** KEYS grant. ARGV clock, idle, now · client, and whether it is given. Whether the grant has ended by it. */
export const endGrant = ending(`${get}${revoke}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 or struct.unpack('>I4', s, 10) > 0 then return 0 end
if ARGV[3] == '1' then
  local _, client = struct.unpack('>Bc0I2c0', s, 50)
  if client ~= ARGV[2] then return 0 end
end
revoke(s, now, clock, idle)
return 1
`);

/** KEYS grant. ARGV clock, idle, now, until. Ends the grant, or remembers that it is to be revoked when it comes. */
export const revokeGrant = ending(`${get}${put}${revoke}
local clock, idle, now, until_ = struct.unpack('>I4I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if s and string.byte(s) == 103 then
  if struct.unpack('>I4', s, 10) == 0 then revoke(s, now, clock, idle) end
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
export const endMatching = ending(`${get}${put}${revoke}
local clock, idle, at, until_, ms = struct.unpack('>I4I4I4I4d', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 then
  if until_ == 0 or (s and string.byte(s) == 114) then return 0 end
  if s then
    until_ = math.max(until_, (struct.unpack('>I4', s, 2)))
    ms = math.max(ms, (struct.unpack('>d', s, 10)))
  end
  put(KEYS[1], struct.pack('>c1I4I4d', 'b', until_, 0, ms), clock, 0)
  return 0
end
if struct.unpack('>I4', s, 10) > 0 then return 0 end
local _, client, _, _, has, subject, application, consent = struct.unpack('>Bc0I2c0Bc0Bc0BI2c0I2c0I2c0', s, 50)
local function differs(given, bit, value) return given ~= '' and (has % (bit * 2) < bit or string.sub(given, 2) ~= value) end
if differs(ARGV[2], 1, subject) or differs(ARGV[3], 2, client) or differs(ARGV[4], 4, application) or differs(ARGV[5], 8, consent) then return 0 end
revoke(s, at, clock, idle)
return 1
`);

/** KEYS grant. ARGV clock, idle, now. Every access token that was issued up to now has ended; of the ends the last eight are told apart. */
export const revokeAccessOfGrant = ending(`${get}${amended}${change}
local clock, idle, now = struct.unpack('>I4I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if not s or string.byte(s) ~= 103 then return 0 end
local c = struct.unpack('>I4', s, 30)
local sender, _, ra, ends = struct.unpack('>Bc0I2c0Bc0Bc0', s, 50)
if ends == '' or struct.unpack('>I4', ends, #ends - 3) < now then ends = string.sub(ends..struct.pack('>I4', now), -32) end
change(KEYS[1], amended(string.sub(s, 1, c), sender, ra, ends)..string.sub(s, c + 1), clock, idle)
return 1
`);
