-- An action's own limits per user, kept in one hash: `at` (ms of the last award), `hour` and `day` (UTC hour and day number),
-- `in_hour` and `in_day` (awards in them). A limit of 0 is none.

local HOUR_MS = 3600000

local NO_LIMITS = { open_for = 0, any = false }

-- `cooldown (ms) | cap an hour | cap a day | opens at (ms of the UTC day) | open for (ms; 0: always)` with spaces between; an empty
-- text if there is none of them.
local function read_limits(text)
  if text == '' then
    return NO_LIMITS
  end
  local cooldown, per_hour, per_day, opens, open_for = text:match('^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  local limits = {
    cooldown = tonumber(cooldown), per_hour = tonumber(per_hour), per_day = tonumber(per_day),
    opens = tonumber(opens), open_for = tonumber(open_for),
  }
  limits.any = limits.cooldown > 0 or limits.per_hour > 0 or limits.per_day > 0
  return limits
end

local function is_open(limits)
  return limits.open_for == 0 or (now_ms - limits.opens) % DAY_MS < limits.open_for
end

-- How many ms the user has to wait before this action may be awarded again: 0 if not at all.
local function action_wait_ms(key, limits)
  if not limits.any then
    return 0
  end
  local kept = redis.call('HMGET', key, 'at', 'hour', 'in_hour', 'day', 'in_day')
  local wait = 0
  if limits.cooldown > 0 and kept[1] then
    wait = math.max(wait, tonumber(kept[1]) + limits.cooldown - now_ms)
  end
  local hour, day = math.floor(now_ms / HOUR_MS), math.floor(now_ms / DAY_MS)
  if limits.per_hour > 0 and tonumber(kept[2]) == hour and tonumber(kept[3]) >= limits.per_hour then
    wait = math.max(wait, (hour + 1) * HOUR_MS - now_ms)
  end
  if limits.per_day > 0 and tonumber(kept[4]) == day and tonumber(kept[5]) >= limits.per_day then
    wait = math.max(wait, (day + 1) * DAY_MS - now_ms)
  end
  return wait
end

-- Notes an award. The hash goes when no limit can look at it any more.
local function note_action(key, limits)
  if not limits.any then
    return
  end
  local hour, day = math.floor(now_ms / HOUR_MS), math.floor(now_ms / DAY_MS)
  local kept = redis.call('HMGET', key, 'hour', 'in_hour', 'day', 'in_day')
  local in_hour = tonumber(kept[1]) == hour and tonumber(kept[2]) or 0
  local in_day = tonumber(kept[3]) == day and tonumber(kept[4]) or 0
  redis.call('HSET', key, 'at', now_text, 'hour', int(hour), 'in_hour', int(in_hour + 1), 'day', int(day),
    'in_day', int(in_day + 1))
  redis.call('PEXPIREAT', key, int(math.max(now_ms + limits.cooldown, (day + 1) * DAY_MS)))
end
