-- Where one user stands.
--
-- KEYS  1 leaderboard:<board>
-- ARGV  1 user id
-- Reply { total, rank (0: no points) }
-- Needs lib/clock.

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then
  return { '0', 0 }
end
return { int(tonumber(score)), redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf') + 1 }
