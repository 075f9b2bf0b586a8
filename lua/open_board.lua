-- Opens the board under a new epoch, after this run of Redis was compared with the ledger or loaded from it. Raises the version above
-- every version that nodes have shown.
--
-- Keys       shard_state          shard:state
--            board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
-- Arguments  run                  the run of Redis that was compared
--            epoch                the new epoch
--            least_hlc_us         HLC that the new version must exceed
--            board_channel        channel of the board; empty: this is one of several shards
--            publish_interval_ms  least time between two publications
--            loader               id of the load that filled the board; empty: it needed none
-- Reply      { 1 if the board is open; 0 if nothing was done, because this is another run, or another node loads or has opened the board;
--            ms until a flush is due (0: none; -1: the merged board must take this shard) }
-- Needs lib/clock, lib/epoch, lib/entry, lib/board.

local state = redis.call('HMGET', shard_state_key, 'epoch', 'loader')
local latest_epoch = tonumber(state[1]) or -1
if run_id() ~= run or tonumber(epoch) <= latest_epoch or (state[2] or '') ~= loader then
  return { 0, 0 }
end
redis.call('HDEL', shard_state_key, 'loader')
redis.call('HSET', shard_state_key, 'epoch', epoch, 'run', run)
return {
  1,
  raise_version(shard_state_key, board_state_key, top_key, throttle_key, least_hlc_us, board_channel, publish_interval_ms),
}
