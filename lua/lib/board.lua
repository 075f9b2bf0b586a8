-- The top list of one board: a LIST of at most ten entries (see lib/entry), best first, and a HASH with the board's state:
--   version    HLC of the last change of the top list
--   floor      the score of the tenth, -1 while there are fewer than ten
--   short      1 while an entry is known to be missing: see lib/merge
--   published  the newest version that was published
--
-- Awards only raise scores, so a user who reaches a score is the latest to do so and stands after every user who has as much.
-- Therefore a score that does not exceed `floor` cannot change the top list.

local TOP_SIZE = 10

local function floor_of(board_key, top)
  if #top == TOP_SIZE then
    return read_score(top[TOP_SIZE])
  end
  -- An entry may be missing from the list. A lower score must not take its place.
  local tenth = redis.call('ZREVRANGE', board_key, TOP_SIZE - 1, TOP_SIZE - 1, 'WITHSCORES')
  return tenth[2] and int(tonumber(tenth[2])) or '-1'
end

local function write_top(top_key, top)
  redis.call('DEL', top_key)
  if #top > 0 then
    redis.call('RPUSH', top_key, unpack(top))
  end
end

-- Returns the top list with one more entry, without the user's older one, cut to TOP_SIZE.
local function place(top, entry, user, score)
  local placed, is_placed = {}, false
  for _, other in ipairs(top) do
    local other_score, other_user = read_score_and_user(other)
    if other_user ~= user then
      if not is_placed and tonumber(other_score) < score then
        placed[#placed + 1] = entry
        is_placed = true
      end
      placed[#placed + 1] = other
    end
  end
  if not is_placed then
    placed[#placed + 1] = entry
  end
  placed[TOP_SIZE + 1] = nil
  return placed
end

-- Publishes the top list under a version (text), unless the last publication is younger than the interval. Returns 0 if it was published, else the ms until it
-- may be; the node then calls `flush`. Without a channel this is one of several shards: returns -1, and the node takes its top list
-- to the merged board with `merge_shard`.
-- The ms never exceed the interval, because nodes sleep for them. A throttle key that lasts longer was written before Redis' clock
-- was set back. It is replaced and delays nothing.
local function publish(top, throttle_key, channel, version, interval_ms)
  if channel == '' then
    return -1
  end
  local may_publish = tonumber(interval_ms) == 0 or redis.call('SET', throttle_key, '1', 'NX', 'PX', interval_ms)
  if not may_publish then
    local left_ms = redis.call('PTTL', throttle_key)
    if left_ms >= 0 and left_ms <= tonumber(interval_ms) then
      return math.max(1, left_ms)
    end
    redis.call('SET', throttle_key, '1', 'PX', interval_ms)
  end
  redis.call('PUBLISH', channel, version .. '\n' .. table.concat(top, '\n'))
  return 0
end

-- Gives the board a new version (text), publishes it if it may, and stores both with the given fields of the state. Returns what `publish` does.
local function show(board_state_key, throttle_key, top, version, channel, interval_ms, ...)
  local due_ms = publish(top, throttle_key, channel, version, interval_ms)
  if due_ms == 0 then
    redis.call('HSET', board_state_key, 'version', version, 'published', version, ...)
  else
    redis.call('HSET', board_state_key, 'version', version, ...)
  end
  return due_ms
end

-- Raises the board's version above an HLC, so that every node takes the same top list again.
local function raise_version(shard_state_key, board_state_key, top_key, throttle_key, least_hlc_us, channel, interval_ms)
  local hlc_us = int(math.max(next_hlc(redis.call('HGET', shard_state_key, 'hlc_us')), least_hlc_us + 1))
  redis.call('HSET', shard_state_key, 'hlc_us', hlc_us)
  return show(board_state_key, throttle_key, redis.call('LRANGE', top_key, 0, -1), hlc_us, channel, interval_ms)
end
