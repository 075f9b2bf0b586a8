-- What is checked first at every door where something begins.

-- Counts the attempt (`always`: even where any number is allowed), and looks whether the board is open, the window has room
-- and the user is not banned. Returns the code, the attempts used and the ms until the window closes.
local function knock(state_key, rate_key, rate_limit, rate_window_ms, ban_key, always)
  local used, reset_ms = 0, 0
  if rate_limit > 0 or always then
    used, reset_ms = count_attempt(rate_key, rate_window_ms)
  end
  local code = OK
  if not read_open(state_key, 0) then
    code = BOARD_CLOSED
  elseif rate_limit > 0 and used > rate_limit then
    code = RATE_LIMITED
  elseif redis.call('EXISTS', ban_key) == 1 then
    code = BANNED
  end
  return code, used, reset_ms
end
