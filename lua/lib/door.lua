-- What is checked first at every door where something begins.

-- Counts the attempt (`always`: even where any number is allowed). Returns the attempts used and the ms until the window closes.
local function count_at_door(rate_key, rate_limit, rate_window_ms, always)
  if rate_limit > 0 or always then
    return count_attempt(rate_key, rate_window_ms)
  end
  return 0, 0
end

-- Whether the board is open (and not behind what the caller knows, see lib/epoch), the window has room and the user is not banned,
-- as a reply code; and the open board's state, its moment as the third field.
local function admit(state_key, used, rate_limit, ban_key, least)
  local state = read_open(state_key, least, 'moment')
  if not state then
    return BOARD_CLOSED
  end
  if rate_limit > 0 and used > rate_limit then
    return RATE_LIMITED, state
  end
  return redis.call('EXISTS', ban_key) == 1 and BANNED or OK, state
end

-- Both. Returns the code, the attempts used and the ms until the window closes.
local function knock(state_key, rate_key, rate_limit, rate_window_ms, ban_key, always)
  local used, reset_ms = count_at_door(rate_key, rate_limit, rate_window_ms, always)
  return admit(state_key, used, rate_limit, ban_key), used, reset_ms
end
