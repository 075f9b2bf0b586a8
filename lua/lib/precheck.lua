-- The checks that come first where a session or a token begins.

-- Returns a reply code (board open, attempts left, user not banned) and the shard's state if the board is open. The further arguments
-- are those of `read_open`.
local function admit(shard_state_key, used, rate_limit, ban_key, ...)
  local state = read_open(shard_state_key, ...)
  if not state then
    return BOARD_CLOSED
  end
  if rate_limit > 0 and used > rate_limit then
    return RATE_LIMITED, state
  end
  return redis.call('EXISTS', ban_key) == 1 and BANNED or OK, state
end

-- Counts the attempt (`always`: even without a limit), then checks the same. Returns the code, the attempts used and the ms until the
-- window closes.
local function count_and_admit(shard_state_key, rate_key, rate_limit, rate_window_ms, ban_key, always)
  local used, reset_ms = 0, 0
  if rate_limit > 0 or always then
    used, reset_ms = count_attempt(rate_key, rate_window_ms)
  end
  return admit(shard_state_key, used, rate_limit, ban_key), used, reset_ms
end
