-- A fixed window that opens with its first attempt. Every attempt counts, refused ones too.

-- Counts one attempt. Returns the attempts so far and the ms until the window closes.
local function count_attempt(key, window_ms)
  local used = redis.call('INCR', key)
  if used == 1 then
    redis.call('PEXPIRE', key, window_ms)
    return used, tonumber(window_ms)
  end
  return used, redis.call('PTTL', key)
end
