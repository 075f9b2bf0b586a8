-- Merges the ledger's candidates into the ten, after users were loaded into the board.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:top   4 leaderboard:<board>:throttle
-- ARGV  1 channel of the board (empty where this is one shard of several)   2 least ms between publications   3 who loads the board (empty: it has to be open)
--       4 latest epoch and moment that the caller knows (see lib/epoch)   5… candidates `score moment userId number username`
-- Reply { ms until a flush is due (0: none; -1: `gather` is), 1 if the ten are whole, else 0 }; nothing is done to a board that is closed for
--       somebody else's sake, since what it holds may be old
-- Needs lib/clock, lib/epoch, lib/board, lib/merge.

local loader = redis.call('HGET', KEYS[2], 'loader') or ''
if loader ~= ARGV[3] or (loader == '' and not read_open(KEYS[2], ARGV[4], 'hlc_us')) then
  return { 0, 0 }
end
local hlc_us = next_hlc_us(redis.call('HGET', KEYS[2], 'hlc_us'))
return { renew(KEYS[1], KEYS[2], KEYS[3], KEYS[4], merge(KEYS[1], KEYS[3], 5), hlc_us, ARGV[1], ARGV[2]) }
