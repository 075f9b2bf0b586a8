-- An action's own limits per user, counted in one HASH: `at` (ms of the last award), `hour` and `day` (number of the UTC hour and day),
-- `in_hour` and `in_day` (awards in them). A limit of 0 is none.
--
-- Redis' clock may be set back, so stored times may lie ahead of it:
--   - An hour or day that has begun stays the current one until the clock has passed it. If awards counted in an earlier one again,
--     a clock that moves a few seconds back and forth over midnight would pay both days each time. So compare with >=, never with ==.
--   - An hour or day more than one ahead comes from a clock that was far wrong: awards count in the present one from then on.
--   - A cool-down that begins ahead begins now.
-- So nobody waits longer than a cool-down, or to the end of the next hour or day, whatever the clock did. Corrections are written where
-- the wait is found, which is a refusal: they cannot fail, and no award depends on them.

local HOUR_MS = 3600000

local NO_LIMITS = { open_for = 0, any = false }

-- Reads `cooldown_ms cap_per_hour cap_per_day opens_at_ms open_for_ms span_ms`; empty or nil if there is no limit. `opens_at_ms` counts from
-- 00:00 UTC, `open_for_ms` 0 is always. The span is the least duration of a proof by `elapsed`.
local function read_limits(text)
  if not text or text == '' then
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

-- Returns the number of the hour or day in which an award counts now, and the awards in it so far.
local function current_period(stored, count, length_ms)
  local present = math.floor(now_ms / length_ms)
  stored = tonumber(stored)
  if not stored or stored < present then
    return present, 0
  end
  return stored > present + 1 and present or stored, tonumber(count)
end

-- Returns the ms until this action may be awarded again (0: now), the name of the setting that refuses, and what was stored, for `note_action`.
-- `redeems`: the award is requested now.
-- The spans of two proofs by `elapsed` must not overlap, or a player could wait for nine at once. Only the end of a span can tell, so a
-- request for a token need not wait, and the pace stays one per span.
local function action_wait_ms(key, limits, redeems)
  if not limits.any then
    return 0, ''
  end
  local stored = redis.call('HMGET', key, 'at', 'hour', 'in_hour', 'day', 'in_day')
  local pause, limit, at, wait = limits.cooldown, 'cooldown_ms', tonumber(stored[1]), 0
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
  for i, cap in ipairs({ limits.per_hour, limits.per_day }) do
    local length_ms, stored_period = i == 1 and HOUR_MS or DAY_MS, stored[2 * i]
    local period, used = current_period(stored_period, stored[2 * i + 1], length_ms)
    if cap > 0 and used >= cap then
      if period ~= tonumber(stored_period) then
        redis.call('HSET', key, i == 1 and 'hour' or 'day', int(period))
      end
      local left_ms = (period + 1) * length_ms - now_ms
      if left_ms > wait then
        wait, limit = left_ms, i == 1 and 'cap_per_hour' or 'cap_per_day'
      end
    end
  end
  return wait, limit, stored
end

-- Counts an award, where `action_wait_ms` found these stored values. The hash expires a day after the last limit that can need it, since the
-- clock may be set back by a day.
local function note_action(key, limits, stored)
  if not limits.any then
    return
  end
  local hour, in_hour = current_period(stored[2], stored[3], HOUR_MS)
  local day, in_day = current_period(stored[4], stored[5], DAY_MS)
  redis.call('HSET', key, 'at', now_text, 'hour', int(hour), 'in_hour', int(in_hour + 1), 'day', int(day),
    'in_day', int(in_day + 1))
  redis.call('PEXPIREAT', key, int(math.max(now_ms + limits.cooldown, now_ms + limits.span, (day + 1) * DAY_MS) + DAY_MS))
end
