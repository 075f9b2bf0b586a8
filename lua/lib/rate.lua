-- A fixed rate-limit window that opens with its first attempt. Every attempt counts, refused ones too.

-- Returns the ms until an open window closes. Redis stores an expiry as a time of its clock, so a clock that is set back makes a window
-- longer. Such a window closes after its own length from now and keeps its count. The write may come above other checks: it only
-- shortens an expiry, and cannot fail.
local function window_left_ms(key, window_ms)
  local left_ms = redis.call('PTTL', key)
  if left_ms > tonumber(window_ms) then
    redis.call('PEXPIRE', key, window_ms)
    return tonumber(window_ms)
  end
  return left_ms
end

-- Counts one attempt. Returns the attempts so far and the ms until the window closes.
local function count_attempt(key, window_ms)
  local used = redis.call('INCR', key)
  if used == 1 then
    redis.call('PEXPIRE', key, window_ms)
    return used, tonumber(window_ms)
  end
  return used, window_left_ms(key, window_ms)
end
