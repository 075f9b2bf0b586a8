-- What each node looks at once a second: the board if it is newer, and whether awards can be taken.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:ten   3 outbox
-- ARGV  1 board version that the caller holds
-- Reply { 1 if the board is open, else 0; entries in the outbox; version; the ten… (only if newer) }

local state = redis.call('HMGET', KEYS[1], 'epoch', 'version')
local version = tonumber(state[2]) or 0
local ten = {}
if version > tonumber(ARGV[1]) then
  ten = redis.call('LRANGE', KEYS[2], 0, -1)
end
return { state[1] and 1 or 0, redis.call('XLEN', KEYS[3]), string.format('%.0f', version), unpack(ten) }
