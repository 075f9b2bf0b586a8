-- Replaces one period of a board by entries that were loaded beside it.
--
-- Keys       board         leaderboard:{<board>}:<period>
--            state         leaderboard:{<board>}:<period>:state
--            loaded        leaderboard:{<board>}:<period>:<id of the load>
--            loaded_state  leaderboard:{<board>}:<period>:<id of the load>:state
-- Arguments  batches       batches that were loaded
--            to_seq        sequence number of the ledger at which the loaded entries stand
--            as_of_ms      everything redeemed until then is counted
--            floor         the version must be above this
--            channel       channel of the board, without a tag's value
--            period        id of the period
-- Reply      { 1, or 0 if the period stands later already or the load was lost }
-- Needs lib/clock.

local ENDINGS = { '', ':entries', ':results', ':result_counts' }

local stands_at = tonumber(redis.call('HGET', state_key, 'seq') or -1)
if stands_at > to_seq or redis.call('HGET', loaded_state_key, 'seq') ~= batches then
  return { 0 }
end

-- All checks have passed; only writes follow.
local splits = { [''] = true }
for _, key in ipairs({ state_key, loaded_state_key }) do
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local split = field:match('^version(@.*)$')
    if split then
      splits[split] = true
    end
  end
end
local fields = { 'seq', int(to_seq), 'as_of_ms', as_of_ms }
for split in pairs(splits) do
  for _, ending in ipairs(ENDINGS) do
    local from, to = loaded_key .. split .. ending, board_key .. split .. ending
    -- Other than DEL and RENAME, UNLINK frees a large key in the background.
    redis.call('UNLINK', to)
    if redis.call('EXISTS', from) == 1 then
      redis.call('RENAME', from, to)
      redis.call('PERSIST', to)
    end
  end
  local known = tonumber(redis.call('HGET', state_key, 'version' .. split)) or 0
  local version = int(math.max(now_us, floor + 1, known + 1))
  fields[#fields + 1] = 'version' .. split
  fields[#fields + 1] = version
  redis.call('PUBLISH', channel .. split, period .. ' ' .. version .. ' 1 ')
end
redis.call('DEL', loaded_state_key)
redis.call('HSET', state_key, unpack(fields))
return { 1 }
