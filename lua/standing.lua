-- Where one user stands.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state
-- ARGV  1 user id
-- Reply { code, … }
--       OK: + { total, rank (0: no points) }
-- Needs lib/reply, lib/clock, lib/epoch.

if not read_open(KEYS[2]) then
  return { BOARD_CLOSED }
end
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then
  return { OK, '0', 0 }
end
return { OK, int(tonumber(score)), redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf') + 1 }
