-- The board that is merged of the shards' tens: takes one of them in, or only looks. There is one such board, so its versions are in
-- one order, whichever node brings what. It shows nothing before all shards were brought in this run of Redis: one that was
-- emptied or replaced by an older copy would show less than was seen.
--
-- KEYS  1 leaderboard:<board>:state   2 leaderboard:<board>:top   3 leaderboard:<board>:throttle   4 leaderboard:<board>:shards
-- ARGV  1 how many shards   2 version that the caller holds   3 channel of the board   4 least ms between publications
--       5 shard, from 0 (empty: only look)   6 its epoch   7 the version of its ten   8… its ten
-- Reply { this run, version, the newest published one, ms until a flush is due (0: none), then for each shard: epoch and version of what
--         is here (-1 -1: nothing), then the ten… (only if newer) }
-- Needs lib/clock, lib/epoch, lib/board, lib/merge.
-- The parts are a HASH: shard → `epoch version`, a line, then a line an entry.

local state_key, top_key, throttle_key, shards_key = unpack(KEYS)
local shards, shard = tonumber(ARGV[1]), ARGV[5]

-- A call that only looks reads the run from Redis, so that nodes notice within a second that a bound script's run is over.
local run = shard == '' and read_run_id() or run_id()
local is_of_this_run = redis.call('HGET', state_key, 'run') == run
if shard ~= '' and not is_of_this_run then
  redis.call('DEL', shards_key)
  redis.call('HDEL', state_key, 'epoch')
  redis.call('HSET', state_key, 'run', run)
  is_of_this_run = true
end
local kept = is_of_this_run and redis.call('HGETALL', shards_key) or {}
local parts, count = {}, 0
for i = 1, #kept, 2 do
  local epoch, version, entries = kept[i + 1]:match('^(%S+) (%S+)\n?(.*)$')
  parts[kept[i]] = { epoch = tonumber(epoch), version = tonumber(version), entries = entries }
  count = count + 1
end

local function is_newer(epoch, version)
  local known = parts[shard]
  return not known or epoch > known.epoch or (epoch == known.epoch and version > known.version)
end

-- Everybody's place among all, and the newest version of a part.
local function merged()
  local all, newest = {}, 0
  for _, part in pairs(parts) do
    newest = math.max(newest, part.version)
    for entry in part.entries:gmatch('[^\n]+') do
      local score, hlc_us = entry:match('^(%d+) (%d+)')
      all[#all + 1] = { text = entry, score = tonumber(score), hlc_us = tonumber(hlc_us) }
    end
  end
  return best_top(all), newest
end

local due_ms = 0
if shard ~= '' and is_newer(tonumber(ARGV[6]), tonumber(ARGV[7])) then
  count = count + (parts[shard] and 0 or 1)
  parts[shard] = { epoch = tonumber(ARGV[6]), version = tonumber(ARGV[7]), entries = table.concat(ARGV, '\n', 8) }
  redis.call('HSET', shards_key, shard, ARGV[6] .. ' ' .. ARGV[7] .. '\n' .. parts[shard].entries)
  if count == shards then
    local top, newest = merged()
    local state = redis.call('HMGET', state_key, 'version', 'hlc_us', 'epoch')
    if not state[1] or table.concat(top, '\n') ~= table.concat(redis.call('LRANGE', top_key, 0, -1), '\n') then
      local version = math.max(next_hlc_us(state[2]), newest)
      redis.call('DEL', top_key)
      if #top > 0 then
        redis.call('RPUSH', top_key, unpack(top))
      end
      redis.call('HSET', state_key, 'hlc_us', int(version), 'version', int(version), 'epoch', '0')
      due_ms = publish(top, state_key, throttle_key, ARGV[3], version, ARGV[4])
    elseif not state[3] then
      redis.call('HSET', state_key, 'epoch', '0')
    end
  end
end

local state = redis.call('HMGET', state_key, 'version', 'published', 'epoch')
local version = is_of_this_run and state[3] and tonumber(state[1]) or 0
local reply = { run, int(version), state[2] or '0', due_ms }
for i = 0, shards - 1 do
  local part = parts[tostring(i)]
  reply[#reply + 1] = part and int(part.epoch) or '-1'
  reply[#reply + 1] = part and int(part.version) or '-1'
end
if version > tonumber(ARGV[2]) then
  for _, entry in ipairs(redis.call('LRANGE', top_key, 0, -1)) do
    reply[#reply + 1] = entry
  end
end
return reply
