-- Counts how many users of one shard have more than each given score.
--
-- Keys       board        leaderboard:<board>
-- Arguments  scores       scores to compare with
-- Reply      one count for each score

local counts = {}
for i, score in ipairs(ARGV) do
  counts[i] = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
end
return counts
