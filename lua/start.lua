-- Starts a game session with its first token; the user's earlier session ends.
--
-- KEYS  1 leaderboard:<board>:state   2 outbox   3 session:<userId>   4 token:<tokenHash>   5 rate:starts:<userId>   6 ban:<userId>
-- ARGV  1 user id   2 session id   3 token   4 token's hash   5 time to live (ms)   6 starts allowed a window (0: any)
--       7 window (ms)   8 most entries in the outbox   9 id of this event   10 id of the event that ends an earlier session
-- Reply { code, starts used, ms until the window closes, … }
--       OK: + { when it expires (ms) }
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/precheck, lib/session, lib/token, lib/outbox.

local state_key, outbox_key, session_key, token_key, rate_key, ban_key = unpack(KEYS)
local user, session_id, token, token_hash = unpack(ARGV, 1, 4)
local rate_limit, outbox_max = tonumber(ARGV[6]), tonumber(ARGV[8])

local code, used, reset_ms = knock(state_key, rate_key, rate_limit, ARGV[7], ban_key)
if code ~= OK then
  return { code, used, reset_ms }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL, used, reset_ms }
end

local earlier, earlier_code = read_session(session_key)
if earlier_code == OK then
  write_outbox(outbox_key, {
    kind = 'ended', id = ARGV[10], user = user, session = earlier.id, actions = int(earlier.actions),
    issued = int(earlier.started), expires = int(earlier.expires),
  })
end
local expires_ms = now_ms + tonumber(ARGV[5])
redis.call('DEL', session_key)
redis.call('HSET', session_key, 'id', session_id, 'token', token, 'started', now_text, 'expires', int(expires_ms),
  'actions', '0')
redis.call('PEXPIREAT', session_key, int(expires_ms + SESSION_MEMORY_MS))
write_token(token_key, user, '-', session_id, '-', expires_ms)
write_outbox(outbox_key, {
  kind = 'started', id = ARGV[9], user = user, session = session_id, next = token_hash, actions = '0',
  expires = int(expires_ms),
})
return { OK, used, reset_ms, int(expires_ms) }
