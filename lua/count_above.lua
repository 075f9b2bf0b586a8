-- How many users of a shard have more than each of some scores.
--
-- KEYS  1 leaderboard:<board>
-- ARGV  the scores
-- Reply { a number for each }

local counts = {}
for i, score in ipairs(ARGV) do
  counts[i] = redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
end
return counts
