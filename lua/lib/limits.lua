-- An action's own limits per user, kept in one hash: `at` (ms of the last award), `day` (UTC day number), `count` (awards
-- on that day). A limit of 0 is none.

-- How many ms the user has to wait before this action may be awarded again: 0 if not at all.
local function action_wait_ms(key, cooldown_ms, cap_per_day)
  if cooldown_ms == 0 and cap_per_day == 0 then
    return 0
  end
  local kept = redis.call('HMGET', key, 'at', 'day', 'count')
  local wait = 0
  if cooldown_ms > 0 and kept[1] then
    wait = math.max(wait, tonumber(kept[1]) + cooldown_ms - now_ms)
  end
  local day = math.floor(now_ms / DAY_MS)
  if cap_per_day > 0 and tonumber(kept[2]) == day and tonumber(kept[3]) >= cap_per_day then
    wait = math.max(wait, (day + 1) * DAY_MS - now_ms)
  end
  return wait
end

-- Notes an award. The hash goes when neither limit can look at it any more.
local function note_action(key, cooldown_ms, cap_per_day)
  if cooldown_ms == 0 and cap_per_day == 0 then
    return
  end
  local day = math.floor(now_ms / DAY_MS)
  local kept = redis.call('HMGET', key, 'day', 'count')
  local count = tonumber(kept[1]) == day and tonumber(kept[2]) or 0
  redis.call('HSET', key, 'at', int(now_ms), 'day', int(day), 'count', int(count + 1))
  redis.call('PEXPIREAT', key, int(math.max(now_ms + cooldown_ms, (day + 1) * DAY_MS)))
end
