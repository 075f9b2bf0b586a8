-- Starts a game session with its first token. The user's earlier session ends.
--
-- Keys       shard_state     shard:state
--            outbox          outbox
--            session         session:<userId>
--            token           token:<hash of the token>
--            rate            rate:starts:<userId>
--            ban             ban:<userId>
-- Arguments  user            UUID
--            session_id      id of the new session
--            first_token     its first token
--            token_hash      SHA-256 of the token
--            ttl_ms          time to live
--            rate_limit      starts allowed per window (0: any number)
--            rate_window_ms  length of the window
--            outbox_max      most entries in the outbox
--            event_id        id of this event
--            end_event_id    id of the event that ends an earlier session
-- Reply      { code, starts used, ms until the window closes, … }
--            OK: + { when it expires (ms) }
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/precheck, lib/session, lib/token, lib/outbox.

local code, used, reset_ms = count_and_admit(shard_state_key, rate_key, rate_limit, rate_window_ms, ban_key)
if code ~= OK then
  return { code, used, reset_ms }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL, used, reset_ms }
end

local earlier_code, earlier_id, earlier_expires_ms, earlier_actions, earlier_started = read_session(session_key, 'started')
if earlier_code == OK then
  write_outbox(outbox_key, {
    kind = 'ended', id = end_event_id, user = user, session = earlier_id, actions = earlier_actions,
    issued = earlier_started, expires = int(earlier_expires_ms),
  })
end
local expires_ms = now_ms + tonumber(ttl_ms)
redis.call('DEL', session_key)
redis.call('HSET', session_key, 'id', session_id, 'token', first_token, 'started', now_text, 'expires', int(expires_ms),
  'actions', '0')
redis.call('PEXPIREAT', session_key, int(expires_ms + SESSION_MEMORY_MS))
write_token(token_key, user, '-', session_id, '-', '-', expires_ms)
write_outbox(outbox_key, {
  kind = 'started', id = event_id, user = user, session = session_id, next = token_hash, actions = '0',
  expires = int(expires_ms),
})
return { OK, used, reset_ms, int(expires_ms) }
