-- Lifts the version of a board that is behind what a node has shown: Redis' clock may have gone back with a failover.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:top   3 leaderboard:<board>:throttle
-- ARGV  1 version that was shown   2 channel of the board   3 least ms between publications
-- Reply { ms until a flush is due (0: none) }
-- Needs lib/clock, lib/epoch, lib/board.

local state = read_open(KEYS[1], nil, 'version')
if not state or (tonumber(state[3]) or 0) >= tonumber(ARGV[1]) then
  return { 0 }
end
return { raise_version(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), ARGV[2], ARGV[3]) }
