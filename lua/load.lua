-- Part of loading a board from the ledger: some commands, done only while nobody else has begun to load it. So a leader that was
-- paused, and wakes up after another has taken over, writes nothing.
--
-- KEYS  1 leaderboard:<board>:state
-- ARGV  1 who loads (empty: nobody has to, for users who are new)   2… the commands, each as the number of its words and the words
-- Reply { 1 if they were done, 0 if somebody else loads }

if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'loader') ~= ARGV[1] then
  return { 0 }
end
local place = 2
while place <= #ARGV do
  local words = tonumber(ARGV[place])
  redis.call(unpack(ARGV, place + 1, place + words))
  place = place + words + 1
end
return { 1 }
