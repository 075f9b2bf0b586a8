-- An action's own limits per user, kept in one hash: `at` (ms of the last award), `hour` and `day` (UTC hour and day number),
-- `in_hour` and `in_day` (awards in them). A limit of 0 is none.
--
-- Redis' clock may be set back, so what is kept may lie ahead of it:
--   - An hour or a day that has begun stays the one that awards count in, until the clock has passed it. If the present one counted
--     anew, a few seconds back and forth over midnight would pay both days again, each time. So compare with >=, never with ==.
--   - One that is more than one ahead is from a clock that was far wrong: its awards count in the present one from then on.
--   - A cool-down that begins ahead begins now.
-- So nobody waits longer than a cool-down, to the end of the next hour, or to the end of the next day, whatever the clock did. What
-- has to be corrected for that is written where the wait is found, which is a refusal: it cannot fail, and no award depends on it.

local HOUR_MS = 3600000

local NO_LIMITS = { open_for = 0, any = false }

-- `cooldown (ms) | cap an hour | cap a day | opens at (ms of the UTC day) | open for (ms; 0: always) | span (ms)` with spaces between;
-- an empty text if there is none of them. The span is how long a proof by `elapsed` lasts at least.
local function read_limits(text)
  if text == '' then
    return NO_LIMITS
  end
  local cooldown, per_hour, per_day, opens, open_for, span = text:match('^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  local limits = {
    cooldown = tonumber(cooldown), per_hour = tonumber(per_hour), per_day = tonumber(per_day),
    opens = tonumber(opens), open_for = tonumber(open_for), span = tonumber(span),
  }
  limits.any = limits.cooldown > 0 or limits.per_hour > 0 or limits.per_day > 0 or limits.span > 0
  return limits
end

local function is_open(limits)
  return limits.open_for == 0 or (now_ms - limits.opens) % DAY_MS < limits.open_for
end

-- The number of the hour or day in which an award counts that is made now, and the awards that are in it already.
local function period_now(kept, count, length_ms)
  local present = math.floor(now_ms / length_ms)
  kept = tonumber(kept)
  if not kept or kept < present then
    return present, 0
  end
  return kept > present + 1 and present or kept, tonumber(count)
end

-- How many ms the user has to wait before this action may be awarded again, 0 if not at all, and the setting that says so.
-- `redeems`: the award is asked for now.
-- The spans of two proofs by `elapsed` may not overlap, or a player would wait for nine at once; this can only be told at the end of
-- a span, so who asks for a token need not wait, and keeps a pace of one a span.
local function action_wait_ms(key, limits, redeems)
  if not limits.any then
    return 0, ''
  end
  local kept = redis.call('HMGET', key, 'at', 'hour', 'in_hour', 'day', 'in_day')
  local pause, limit, at, wait = limits.cooldown, 'cooldown_ms', tonumber(kept[1]), 0
  if redeems and limits.span > pause then
    pause, limit = limits.span, 'min_ms'
  end
  if pause > 0 and at then
    if at > now_ms then
      at = now_ms
      redis.call('HSET', key, 'at', now_text)
    end
    wait = math.max(wait, at + pause - now_ms)
  end
  for place, cap in ipairs({ limits.per_hour, limits.per_day }) do
    local length_ms, begun = place == 1 and HOUR_MS or DAY_MS, kept[2 * place]
    local period, used = period_now(begun, kept[2 * place + 1], length_ms)
    if cap > 0 and used >= cap then
      if period ~= tonumber(begun) then
        redis.call('HSET', key, place == 1 and 'hour' or 'day', int(period))
      end
      local left_ms = (period + 1) * length_ms - now_ms
      if left_ms > wait then
        wait, limit = left_ms, place == 1 and 'cap_per_hour' or 'cap_per_day'
      end
    end
  end
  return wait, limit
end

-- Notes an award. The hash goes a day after no limit can look at it any more, since the clock may be set back by as much.
local function note_action(key, limits)
  if not limits.any then
    return
  end
  local kept = redis.call('HMGET', key, 'hour', 'in_hour', 'day', 'in_day')
  local hour, in_hour = period_now(kept[1], kept[2], HOUR_MS)
  local day, in_day = period_now(kept[3], kept[4], DAY_MS)
  redis.call('HSET', key, 'at', now_text, 'hour', int(hour), 'in_hour', int(in_hour + 1), 'day', int(day),
    'in_day', int(in_day + 1))
  redis.call('PEXPIREAT', key, int(math.max(now_ms + limits.cooldown, now_ms + limits.span, (day + 1) * DAY_MS) + DAY_MS))
end
