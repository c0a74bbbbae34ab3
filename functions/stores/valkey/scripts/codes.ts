import { get, keep, put, script } from './script.ts';

// A code: c, until, leaves | redeemed, by · attempt | end | binding | grant | data.
/** KEYS code. ARGV clock, idle · attempt · record. */
export const addCode = script(`${get}${put}
local clock, idle = struct.unpack('>I4I4', ARGV[1])
local s = get(KEYS[1], clock)
if s then return string.sub(s, 22, 29) == ARGV[2] and 1 or 0 end
put(KEYS[1], ARGV[3], clock, idle)
return 1
`);

/** KEYS code. ARGV clock, idle, now · attempt · binding. */
export const redeem = script(`${get}${keep}
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
