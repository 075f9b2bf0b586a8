-- What each node looks at once a second: the board if it is newer, whether awards can be taken, who was banned meanwhile.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:top   3 outbox   4 banned
-- ARGV  1 board version that the caller holds   2 bans from this moment on are told (ms)
-- Reply { 1 if the board is open, else 0; its epoch (-1: none, 0: one without a number); this run; the board's moment;
--         1 while it is loaded, or a load was cut short, else 0;
--         users whom that has loaded so far; 1 if the ten are whole, else 0; entries in the outbox; now (ms); version; the newest published one; how many
--         were banned; their user ids…; the ten… (only if newer) }
-- Needs lib/clock, lib/epoch.

local state = redis.call('HMGET', KEYS[1], 'epoch', 'hlc_us', 'loaded', 'short', 'version', 'loader', 'published')
local open = read_open(KEYS[1]) ~= nil
local version = tonumber(state[5]) or 0
local reply = {
  open and 1 or 0, state[1] and (tonumber(state[1]) or 0) or -1, run_id(), state[2] or '0', state[6] and 1 or 0,
  state[3] or '0',
  state[4] == '1' and 0 or 1, redis.call('XLEN', KEYS[3]), now_ms, int(version), state[7] or '0',
}
local banned = redis.call('ZRANGEBYSCORE', KEYS[4], ARGV[2], '+inf')
reply[#reply + 1] = #banned
for _, user in ipairs(banned) do
  reply[#reply + 1] = user
end
if version > tonumber(ARGV[1]) then
  for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    reply[#reply + 1] = entry
  end
end
return reply
