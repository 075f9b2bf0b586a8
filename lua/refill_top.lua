-- Merges candidates from the ledger into the top list, after users were loaded into the board.
--
-- Keys       board                leaderboard:<board>
--            shard_state          shard:state
--            board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
-- Arguments  board_channel        channel of the board; empty: this is one of several shards
--            publish_interval_ms  least time between two publications
--            loader               id of the load that fills the board; empty: the board must be open
--            latest               newest epoch and HLC that the node has seen, see lib/epoch
--            candidates           board entries that may enter the top list
-- Reply      { ms until a flush is due (0: none; -1: the merged board must take this shard), 1 if the top list is complete, else 0 }
--            Nothing changes on a board that is closed for another reason, since its data may be old.
-- Needs lib/clock, lib/epoch, lib/entry, lib/board, lib/merge.

local current_loader = redis.call('HGET', shard_state_key, 'loader') or ''
if current_loader ~= loader or (loader == '' and not read_open(shard_state_key, latest, 'hlc_us')) then
  return { 0, 0 }
end
local hlc = next_hlc(redis.call('HGET', shard_state_key, 'hlc_us'))
local top = merge(board_key, top_key, CANDIDATES_FROM)
return {
  renew(board_key, shard_state_key, board_state_key, top_key, throttle_key, top, hlc, board_channel, publish_interval_ms),
}
