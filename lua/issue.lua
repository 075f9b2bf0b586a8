-- Issues one single-use token for one action of one user.
--
-- Keys       shard_state     shard:state
--            outbox          outbox
--            token           token:<tokenId>
--            rate            rate:inits:<userId>
--            ban             ban:<userId>
--            limit           limit:<userId>:<action>
--            questions           questions:<userId>:<action>
-- Arguments  user            UUID
--            action          action type
--            token_id        id of the token
--            ttl_ms          time to live
--            points          points of the action
--            rate_limit      tokens allowed per window (0: any number)
--            rate_window_ms  length of the window
--            limits          limits of the action, see lib/limits
--            outbox_max      most entries in the outbox
--            always_counts   1: count the token even without a limit
--            draws_question  1: draw a question
-- Reply      { code, tokens used, ms until the window closes, … }
--            OK: + { issued at (ms), questions drawn before }
--            ACTION_LIMITED: + { ms to wait, name of the setting that refuses }
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/precheck, lib/limits, lib/token, lib/outbox.

local QUESTION_MEMORY_MS = 90 * DAY_MS

local code, used, reset_ms = count_and_admit(shard_state_key, rate_key, rate_limit, rate_window_ms, ban_key, always_counts == '1')
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
if draws_question == '1' then
  drawn = redis.call('INCR', questions_key) - 1
  redis.call('PEXPIRE', questions_key, QUESTION_MEMORY_MS)
end
write_token(token_key, user, action, '-', '-', '-', expires_ms)
write_outbox(outbox_key, {
  kind = 'issued', id = token_id, user = user, action = action, points = points, expires = int(expires_ms),
})
return { OK, used, reset_ms, now_ms, drawn }
