-- What is checked first at every door where something begins.

-- Whether the board is open, the window has room and the user is not banned, as a reply code; and the state of an open board. The rest
-- of the arguments is for `read_open`.
local function admit(state_key, used, rate_limit, ban_key, ...)
  local state = read_open(state_key, ...)
  if not state then
    return BOARD_CLOSED
  end
  if rate_limit > 0 and used > rate_limit then
    return RATE_LIMITED, state
  end
  return redis.call('EXISTS', ban_key) == 1 and BANNED or OK, state
end

-- Counts the attempt (`always`: even where any number is allowed), then asks the same. Returns the code, the attempts used and the ms
-- until the window closes.
local function knock(state_key, rate_key, rate_limit, rate_window_ms, ban_key, always)
  local used, reset_ms = 0, 0
  if rate_limit > 0 or always then
    used, reset_ms = count_attempt(rate_key, rate_window_ms)
  end
  return admit(state_key, used, rate_limit, ban_key), used, reset_ms
end
