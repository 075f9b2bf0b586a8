-- The ten best of one board: a LIST of at most ten entries `score moment userId number username`, best first, and a HASH
-- with the board's state:
--   epoch      the last time that this Redis was found to hold what the ledger holds: a number that grows; and
--   run        which run of Redis that was: see lib/epoch
--   loader     who loads it from the ledger, while it is closed for that
--   loaded     users whom the last load from the ledger has loaded so far
--   moment     when a token was spent last, or a total changed: µs by Redis' clock, lifted so that it only grows. The ledger and each
--              node know the newest that they have seen: a board that is behind it is an older copy
--   version    the moment of the last change of the ten
--   floor      the score of the tenth, -1 while there are fewer than ten
--   short      1 while somebody is known to be missing among the ten: see lib/merge
--   published  the newest version that went out over pub/sub
--
-- Awards only raise scores, so the newcomer is the latest to reach its score: it stands behind everybody who has as much.
-- A score that is not above `floor` therefore cannot change the ten, whoever has it.

local TOP_SIZE = 10

local function floor_of(board_key, top)
  if #top == TOP_SIZE then
    return top[TOP_SIZE]:match('^%d+')
  end
  -- Perhaps somebody is missing; nobody else gets in for that.
  local tenth = redis.call('ZREVRANGE', board_key, TOP_SIZE - 1, TOP_SIZE - 1, 'WITHSCORES')
  return tenth[2] and int(tonumber(tenth[2])) or '-1'
end

local function write_top(board_key, top_key, state_key, top, version)
  redis.call('DEL', top_key)
  if #top > 0 then
    redis.call('RPUSH', top_key, unpack(top))
  end
  redis.call('HSET', state_key, 'hlc_us', int(version), 'version', int(version), 'floor',
    floor_of(board_key, top))
end

-- Puts one entry in its place, takes the user's older one out, and keeps the best ten.
local function place(top, entry, user, score)
  local kept, placed = {}, false
  for _, other in ipairs(top) do
    local other_score, other_user = other:match('^(%d+) %d+ (%S+)')
    if other_user ~= user then
      if not placed and tonumber(other_score) < score then
        kept[#kept + 1] = entry
        placed = true
      end
      kept[#kept + 1] = other
    end
  end
  if not placed then
    kept[#kept + 1] = entry
  end
  kept[TOP_SIZE + 1] = nil
  return kept
end

-- Publishes the ten unless the last publication is younger than the window: then returns the ms until it may go out,
-- and whoever asked calls `flush` after that. Publishes at once when the board was quiet. Without a channel this is one shard of
-- several: returns -1, and whoever asked takes its ten to the board that is merged of all, see `gather`.
-- The ms are never more than the window: nodes sleep for them. A key that lasts longer is from before Redis' clock was set back; it
-- is written anew, and holds nothing up.
local function publish(top, state_key, throttle_key, channel, version, window_ms)
  if channel == '' then
    return -1
  end
  local open = tonumber(window_ms) == 0 or redis.call('SET', throttle_key, '1', 'NX', 'PX', window_ms)
  if not open then
    local left_ms = redis.call('PTTL', throttle_key)
    if left_ms >= 0 and left_ms <= tonumber(window_ms) then
      return math.max(1, left_ms)
    end
    redis.call('SET', throttle_key, '1', 'PX', window_ms)
  end
  redis.call('PUBLISH', channel, int(version) .. '\n' .. table.concat(top, '\n'))
  redis.call('HSET', state_key, 'published', int(version))
  return 0
end

-- Lifts the board above a moment, and shows it again under the new version: whoever has seen as much takes it.
local function raise_version(state_key, top_key, throttle_key, min_hlc_us, channel, window_ms)
  local hlc_us = math.max(next_hlc_us(redis.call('HGET', state_key, 'hlc_us')), min_hlc_us + 1)
  redis.call('HSET', state_key, 'hlc_us', int(hlc_us), 'version', int(hlc_us))
  return publish(redis.call('LRANGE', top_key, 0, -1), state_key, throttle_key, channel, hlc_us, window_ms)
end
