-- Opens the board under a new epoch, after this run of Redis was compared with the ledger, or loaded from it. The board's version is
-- lifted above everything that was shown before.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:top   3 leaderboard:<board>:throttle
-- ARGV  1 run that was looked at   2 epoch   3 moment that has to be passed (µs)   4 channel of the board (empty where
--       this is one shard of several)
--       5 least ms between publications   6 who loaded it (empty: nobody had to)
-- Reply { 1 if it is open, 0 if nothing was done: it is another run by now, or somebody else loads it or has opened it;
--         ms until a flush is due (0: none; -1: `gather` is) }
-- Needs lib/clock, lib/epoch, lib/board.

local state = redis.call('HMGET', KEYS[1], 'epoch', 'loader')
local latest = tonumber(state[1]) or -1
if run_id() ~= ARGV[1] or tonumber(ARGV[2]) <= latest or (state[2] or '') ~= ARGV[6] then
  return { 0, 0 }
end
redis.call('HDEL', KEYS[1], 'loader')
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'run', ARGV[1])
return { 1, raise_version(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[3]), ARGV[4], ARGV[5]) }
