-- Issues one single-use token for one action of one user.
--
-- KEYS  1 leaderboard:<board>:state   2 outbox   3 token:<tokenId>   4 rate:inits:<userId>   5 ban:<userId>
--       6 limit:<userId>:<action>
-- ARGV  1 user id   2 action type   3 token id   4 time to live (ms)   5 points
--       6 inits allowed a window (0: any)   7 window (ms)   8 cooldown (ms, 0: none)   9 cap a UTC day (0: none)
--       10 most entries in the outbox
-- Reply { code, inits used, ms until the window closes, … }
--       OK: + { issued at (ms) }; ACTION_LIMITED: + { ms to wait }
-- Needs lib/reply, lib/clock, lib/rate, lib/door, lib/limits, lib/outbox.

local state_key, outbox_key, token_key, rate_key, ban_key, limit_key = unpack(KEYS)
local user, action, token_id, ttl_ms, points = unpack(ARGV, 1, 5)
local rate_limit, rate_window_ms = tonumber(ARGV[6]), ARGV[7]
local cooldown_ms, cap_per_day = tonumber(ARGV[8]), tonumber(ARGV[9])
local outbox_max = tonumber(ARGV[10])

local code, used, reset_ms = knock(state_key, rate_key, rate_limit, rate_window_ms, ban_key)
if code ~= OK then
  return { code, used, reset_ms }
end
local wait_ms = action_wait_ms(limit_key, cooldown_ms, cap_per_day)
if wait_ms > 0 then
  return { ACTION_LIMITED, used, reset_ms, wait_ms }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL, used, reset_ms }
end

local expires_ms = now_ms + tonumber(ttl_ms)
redis.call('SET', token_key, user .. ' ' .. action .. ' - ' .. int(now_ms), 'PXAT', int(expires_ms))
write_outbox(outbox_key, {
  kind = 'issued', id = token_id, user = user, action = action, points = points,
  issued = int(now_ms), expires = int(expires_ms),
})
return { OK, used, reset_ms, now_ms }
