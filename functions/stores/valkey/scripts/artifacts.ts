import { change, get, keep, put, script } from './script.ts';

// An artifact: a, until, leaves | end, retain until | consumed, by, put by | which put | uid | user code | has consent,
// consent | data.
const artifact = `${get}
local FORM = '>c1I4I4I4I4I4Bc0Bc0c8Bc0Bc0'
`;

/** KEYS artifact. ARGV clock, idle · begin · end of the record. Stores it, consumed if it was; gives what stood there. */
export const putArtifact = script(`${artifact}${put}
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
export const putArtifactOnce = script(`${artifact}${put}
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
export const consume = script(`${artifact}${keep}
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
export const loseWay = script(`${artifact}${change}
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
export const lead = script(`${get}${put}
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
