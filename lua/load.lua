-- Runs part of a load of a board from the ledger: some commands, only while no other load has begun. A leader that was paused and
-- wakes up after another one took over writes nothing.
--
-- Keys       shard_state  shard:state
-- Arguments  loader       id of the load; empty: none is needed, for new users
--            commands     the commands, each as its number of words and the words
-- Reply      { 1 if the commands ran, 0 if another load has begun }

if loader ~= '' and redis.call('HGET', shard_state_key, 'loader') ~= loader then
  return { 0 }
end
local at = COMMANDS_FROM
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end
return { 1 }
