-- Publishes the newest ten if an award could not, because the last publication was too young.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:top   3 leaderboard:<board>:throttle
-- ARGV  1 channel of the board   2 least ms between publications
-- Reply { ms until the next flush is due (0: nothing is left to publish) }
-- Needs lib/clock, lib/board.

local state = redis.call('HMGET', KEYS[1], 'version', 'published')
local version = tonumber(state[1]) or 0
if version <= (tonumber(state[2]) or 0) then
  return { 0 }
end
return { publish(redis.call('LRANGE', KEYS[2], 0, -1), KEYS[1], KEYS[3], ARGV[1], version, ARGV[2]) }
