-- Reads one user's score and rank.
--
-- Keys       board        leaderboard:<board>
--            shard_state  shard:state
-- Arguments  user         UUID
-- Reply      { code, … }
--            OK: + { score, rank in this shard (0: no points) }
-- Needs lib/reply, lib/clock, lib/epoch.

if not read_open(shard_state_key) then
  return { BOARD_CLOSED }
end
local score = redis.call('ZSCORE', board_key, user)
if not score then
  return { OK, '0', 0 }
end
return { OK, int(tonumber(score)), redis.call('ZCOUNT', board_key, '(' .. score, '+inf') + 1 }
