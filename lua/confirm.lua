-- Opens the board under a new epoch, after this run of Redis was compared with the ledger, or loaded from it. The board's version is
-- lifted above everything that was shown before.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:ten   3 leaderboard:<board>:window
-- ARGV  1 run that was looked at   2 epoch   3 moment that has to be passed (µs)   4 channel of the board
--       5 least ms between publications
-- Reply { 1 if this is that run, else 0: nothing was done; ms until a flush is due (0: none) }
-- Needs lib/clock, lib/epoch, lib/board.

if run_id() ~= ARGV[1] then
  return { 0, 0 }
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'run', ARGV[1])
return { 1, lift(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[3]), ARGV[4], ARGV[5]) }
