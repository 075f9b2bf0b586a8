-- Trades a proof, and the anti-spam token that asked for it if there is one, for a proven token.
--
-- KEYS  1 leaderboard:<board>:state   2 outbox   3 token:<hash of the proven token>   4 spent:<hash of the proven token>
--       5 rate:inits:<userId>   6 ban:<userId>   7 limit:<userId>:<action>   8 proven:<userId>   9 session:<userId>
--       10 token:<anti-spam token's id>   11 spent:<anti-spam token's id>   12… once:<digest> of each attestation in the proof
-- ARGV  1 user id   2 action type   3 points   4 attempt's id   5 proven token's hash   6 time to live (ms)
--       7 inits allowed a window (0: any)   8 window (ms)   9 least ms between two proven tokens (0: any)
--       10 the action's limits (see lib/limits)   11 most entries in the outbox
--       12 anti-spam token's id (empty: none)   13 its hash   14 its expiry (s, rounded up)
--       15 session that the request names (or empty)
--       16 proof (JSON or empty)   17 proof verified (1 or 0)   18 when it stands (see lib/proof), by the anti-spam token's age
-- Reply { code, inits used, ms until the window closes, … }
--       OK: + { when it runs out (ms) }
--       TOO_SOON: + { ms to wait }; ACTION_LIMITED: + { ms to wait }
--       PROOF_INVALID: + { now (ms), 1 if the token was younger than it must be }; the anti-spam token is spent
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/door, lib/limits, lib/session, lib/token, lib/proof, lib/outbox.

local state_key, outbox_key, token_key, spent_key, rate_key, ban_key, limit_key, interval_key, session_key, asked_key,
  asked_spent_key = unpack(KEYS, 1, 11)
local FIRST_ONCE_KEY = 12
local user, action, points, attempt_id, token_hash, ttl_ms = unpack(ARGV, 1, 6)
local rate_limit, rate_window_ms, interval_ms = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local limits, outbox_max = read_limits(ARGV[10]), tonumber(ARGV[11])
local asked_id, asked_hash, asked_expires_s, named_session = ARGV[12], ARGV[13], tonumber(ARGV[14]), ARGV[15]
local proof, proof_ok = ARGV[16], ARGV[17] == '1'
local least_ms, most_ms, from_ms, until_ms = read_span(ARGV[18])

local code, used, reset_ms = knock(state_key, rate_key, rate_limit, rate_window_ms, ban_key)
if code ~= OK then
  return { code, used, reset_ms }
end
if redis.call('EXISTS', interval_key) == 1 then
  return { TOO_SOON, used, reset_ms, math.max(1, redis.call('PTTL', interval_key)) }
end

local session, session_code = read_session(session_key)
if named_session ~= '' then
  if session_code ~= OK then
    return { session_code, used, reset_ms }
  end
  if session.id ~= named_session then
    return { SESSION_MISMATCH, used, reset_ms }
  end
end
local session_id = session_code == OK and session.id or '-'

local asked
if asked_id ~= '' then
  asked, code = read_anti_spam(asked_key, asked_spent_key, user, action, asked_expires_s)
  if code ~= OK then
    return { code, used, reset_ms }
  end
end
if not is_open(limits) then
  return { NOT_OPEN, used, reset_ms }
end
local wait_ms = action_wait_ms(limit_key, limits)
if wait_ms > 0 then
  return { ACTION_LIMITED, used, reset_ms, wait_ms }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL, used, reset_ms }
end
local issued_ms = asked and asked.issued or now_text
local too_young = now_ms - tonumber(issued_ms) < least_ms
proof_ok = proof_ok and proof_stands(issued_ms, least_ms, most_ms, from_ms, until_ms, FIRST_ONCE_KEY)

-- The last check is done: only writes from here on.
local expires_ms = now_ms + tonumber(ttl_ms)
if asked then
  spend(asked_key, asked_spent_key, asked_expires_s * 1000)
  write_outbox(outbox_key, {
    kind = proof_ok and 'traded' or 'refused', id = asked_id, user = user, action = action, points = points,
    issued = asked.issued, expires = int(asked_expires_s * 1000), token = asked_hash, proof = proof,
  })
end
if not proof_ok then
  if not asked then
    write_outbox(outbox_key, {
      kind = 'refused', id = attempt_id, user = user, action = action, points = points, proof = proof,
    })
  end
  return { PROOF_INVALID, used, reset_ms, now_ms, too_young and 1 or 0 }
end
local once = note_once(until_ms, FIRST_ONCE_KEY)
if tonumber(interval_ms) > 0 then
  redis.call('SET', interval_key, '1', 'PX', interval_ms)
end
write_token(token_key, user, action, session_id, points, expires_ms)
redis.call('SET', spent_key, '0', 'PXAT', int(expires_ms + HOUR_MS))
write_outbox(outbox_key, {
  kind = 'issued', id = attempt_id, user = user, action = action, points = points, expires = int(expires_ms),
  proof = proof, session = session_id ~= '-' and session_id, next = token_hash, actions = session and int(session.actions),
  once = once,
})
return { OK, used, reset_ms, int(expires_ms) }
