-- Takes one shard's top list into the board that is merged from all shards, or only reads that board. There is one merged board, so
-- its versions have one order, whichever node brings which shard. It shows nothing until every shard was brought in this run of
-- Redis: a Redis that was emptied or replaced by an older copy would show less than clients have seen.
--
-- Keys       board_state          leaderboard:<board>:state; here it also has epoch, run and hlc_us of the merged board
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
--            shards               leaderboard:<board>:shards: a HASH, shard → `epoch version`, then one line for each entry
-- Arguments  shard_count          number of shards
--            known_version        version that the node holds
--            board_channel        channel of the board
--            publish_interval_ms  least time between two publications
--            shard                number of the shard that is brought, from 0; absent: only read
--            epoch                its epoch
--            shard_version        version of its top list
--            entries              its top list
-- Reply      MERGED_FIELDS (flush_due_ms 0: none is due), then for each shard the epoch and version that the merged board has (-1 -1:
--            nothing), then the top list… (only if newer than known_version)
-- Needs lib/clock, lib/epoch, lib/entry, lib/board, lib/merge.

-- A call that only reads asks Redis for the run, so that nodes notice within a second when a bound script's run is over.
local run = shard and run_id() or read_run_id()
local is_of_this_run = redis.call('HGET', board_state_key, 'run') == run
if shard and not is_of_this_run then
  redis.call('DEL', shards_key)
  redis.call('HDEL', board_state_key, 'epoch')
  redis.call('HSET', board_state_key, 'run', run)
  is_of_this_run = true
end
local stored = is_of_this_run and redis.call('HGETALL', shards_key) or {}
local parts, count = {}, 0
for i = 1, #stored, 2 do
  local part_epoch, part_version, part_entries = stored[i + 1]:match('^(%S+) (%S+)\n?(.*)$')
  parts[stored[i]] = { epoch = tonumber(part_epoch), version = tonumber(part_version), entries = part_entries }
  count = count + 1
end

local function is_newer()
  local known, brought_epoch = parts[shard], tonumber(epoch)
  return not known or brought_epoch > known.epoch
    or (brought_epoch == known.epoch and tonumber(shard_version) > known.version)
end

-- The best entries of all shards, and the newest version of a shard.
local function merge_parts()
  local all, newest = {}, 0
  for _, part in pairs(parts) do
    newest = math.max(newest, part.version)
    for entry in part.entries:gmatch('[^\n]+') do
      local score, hlc = read_entry(entry)
      all[#all + 1] = { text = entry, score = tonumber(score), hlc = tonumber(hlc) }
    end
  end
  return best_entries(all), newest
end

local flush_due_ms = 0
if shard and is_newer() then
  count = count + (parts[shard] and 0 or 1)
  local part = { epoch = tonumber(epoch), version = tonumber(shard_version), entries = table.concat(ARGV, '\n', ENTRIES_FROM) }
  parts[shard] = part
  redis.call('HSET', shards_key, shard, epoch .. ' ' .. shard_version .. '\n' .. part.entries)
  if count == shard_count then
    local top, newest = merge_parts()
    local state = redis.call('HMGET', board_state_key, 'version', 'hlc_us', 'epoch')
    if not state[1] or table.concat(top, '\n') ~= table.concat(redis.call('LRANGE', top_key, 0, -1), '\n') then
      local version = int(math.max(next_hlc(state[2]), newest))
      write_top(top_key, top)
      flush_due_ms = show(board_state_key, throttle_key, top, version, board_channel, publish_interval_ms,
        'hlc_us', version, 'epoch', '0')
    elseif not state[3] then
      redis.call('HSET', board_state_key, 'epoch', '0')
    end
  end
end

local state = redis.call('HMGET', board_state_key, 'version', 'published', 'epoch')
local shown_version = is_of_this_run and state[3] and tonumber(state[1]) or 0
local version, published = int(shown_version), state[2] or '0'
local reply = { MERGED_FIELDS }
for i = 0, shard_count - 1 do
  local part = parts[tostring(i)]
  reply[#reply + 1] = part and int(part.epoch) or '-1'
  reply[#reply + 1] = part and int(part.version) or '-1'
end
if shown_version > known_version then
  for _, entry in ipairs(redis.call('LRANGE', top_key, 0, -1)) do
    reply[#reply + 1] = entry
  end
end
return reply
