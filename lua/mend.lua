-- Merges the ledger's candidates into the ten, after users were loaded into the board. Nothing is done to a board that is closed
-- unless somebody loads it: its moment has to stay, for that says whether it is an older copy.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:ten   4 leaderboard:<board>:window
-- ARGV  1 channel of the board   2 least ms between publications   3… candidates `score moment userId number username`
-- Reply { ms until a flush is due (0: none), 1 if the ten are whole, else 0 }
-- Needs lib/clock, lib/epoch, lib/board, lib/merge.

if not read_open(KEYS[2], 0) and redis.call('HEXISTS', KEYS[2], 'loader') == 0 then
  return { 0, 1 }
end
local moment = next_moment(redis.call('HGET', KEYS[2], 'moment'))
return { renew(KEYS[1], KEYS[2], KEYS[3], KEYS[4], merge(KEYS[1], KEYS[3], 3), moment, ARGV[1], ARGV[2]) }
