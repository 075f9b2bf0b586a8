-- Merges the ledger's candidates into the ten: after users were loaded into the board, and wherever a score went down.
-- A candidate that no longer has the score it comes with is passed over: an award has moved on meanwhile, and it has
-- placed that user itself.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:ten   4 leaderboard:<board>:window
-- ARGV  1 channel of the board   2 least ms between publications   3… candidates `score moment userId number username`
-- Reply { ms until a flush is due (0: none) }
-- Needs lib/clock, lib/board.

local entries, seen = {}, {}
local function consider(entry)
  local score, moment, user = entry:match('^(%d+) (%d+) (%S+)')
  if not seen[user] and tonumber(redis.call('ZSCORE', KEYS[1], user) or -1) == tonumber(score) then
    seen[user] = true
    entries[#entries + 1] = { text = entry, score = tonumber(score), moment = tonumber(moment) }
  end
end
for _, entry in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  consider(entry)
end
for i = 3, #ARGV do
  consider(ARGV[i])
end
table.sort(entries, function(a, b)
  if a.score ~= b.score then
    return a.score > b.score
  end
  return a.moment < b.moment
end)

local ten = {}
for i = 1, math.min(PLACES, #entries) do
  ten[i] = entries[i].text
end
local version = next_moment(redis.call('HGET', KEYS[2], 'moment'))
write_ten(KEYS[3], KEYS[2], ten, version)
return { publish(ten, KEYS[2], KEYS[4], ARGV[1], version, ARGV[2]) }
