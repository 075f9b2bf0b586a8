-- Publishes the newest top list if an award could not, because the previous publication was too recent.
--
-- Keys       board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
-- Arguments  board_channel        channel of the board
--            publish_interval_ms  least time between two publications
-- Reply      { ms until the next flush is due (0: nothing is left to publish) }
-- Needs lib/clock, lib/entry, lib/board.

local state = redis.call('HMGET', board_state_key, 'version', 'published')
local version = tonumber(state[1]) or 0
if version <= (tonumber(state[2]) or 0) then
  return { 0 }
end
local due_ms = publish(redis.call('LRANGE', top_key, 0, -1), throttle_key, board_channel, state[1], publish_interval_ms)
if due_ms == 0 then
  redis.call('HSET', board_state_key, 'published', state[1])
end
return { due_ms }
