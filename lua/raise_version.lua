-- Raises the version of a board that is older than a version that a node has shown: a failover may have moved Redis' clock back.
--
-- Keys       shard_state          shard:state; of the merged board its leaderboard:<board>:state
--            board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
-- Arguments  shown_version        version that was shown
--            board_channel        channel of the board
--            publish_interval_ms  least time between two publications
-- Reply      { ms until a flush is due (0: none) }
-- Needs lib/clock, lib/epoch, lib/entry, lib/board.

if not read_open(shard_state_key)
  or (tonumber(redis.call('HGET', board_state_key, 'version')) or 0) >= shown_version then
  return { 0 }
end
return {
  raise_version(shard_state_key, board_state_key, top_key, throttle_key, shown_version, board_channel, publish_interval_ms),
}
