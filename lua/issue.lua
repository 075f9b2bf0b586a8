-- Issues one single-use token for one action of one user.
--
-- KEYS  1 leaderboard:<board>:state   2 outbox   3 token:<tokenId>   4 rate:inits:<userId>   5 ban:<userId>
--       6 limit:<userId>:<action>   7 asked:<userId>:<action>
-- ARGV  1 user id   2 action type   3 token id   4 time to live (ms)   5 points
--       6 inits allowed a window (0: any)   7 window (ms)   8 the action's limits (see lib/limits)
--       9 most entries in the outbox   10 count the inits whatever is allowed (1 or 0)   11 draw a question (1 or 0)
-- Reply { code, inits used, ms until the window closes, … }
--       OK: + { issued at (ms), questions drawn before }
--       ACTION_LIMITED: + { ms to wait, the setting that refuses }
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/precheck, lib/limits, lib/token, lib/outbox.

local state_key, outbox_key, token_key, rate_key, ban_key, limit_key, asked_key = unpack(KEYS)
local user, action, token_id, ttl_ms, points = unpack(ARGV, 1, 5)
local rate_limit, rate_window_ms = tonumber(ARGV[6]), ARGV[7]
local limits = read_limits(ARGV[8])
local outbox_max, paced, draws = tonumber(ARGV[9]), ARGV[10] == '1', ARGV[11] == '1'

local ASKED_MEMORY_MS = 90 * DAY_MS

local code, used, reset_ms = knock(state_key, rate_key, rate_limit, rate_window_ms, ban_key, paced)
if code ~= OK then
  return { code, used, reset_ms }
end
if not is_open(limits) then
  return { NOT_OPEN, used, reset_ms }
end
local wait_ms, limit = action_wait_ms(limit_key, limits)
if wait_ms > 0 then
  return { ACTION_LIMITED, used, reset_ms, wait_ms, limit }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL, used, reset_ms }
end

local expires_ms = now_ms + tonumber(ttl_ms)
local drawn = 0
if draws then
  drawn = redis.call('INCR', asked_key) - 1
  redis.call('PEXPIRE', asked_key, ASKED_MEMORY_MS)
end
write_token(token_key, user, action, '-', '-', expires_ms)
write_outbox(outbox_key, {
  kind = 'issued', id = token_id, user = user, action = action, points = points, expires = int(expires_ms),
})
return { OK, used, reset_ms, now_ms, drawn }
