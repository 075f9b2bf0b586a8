-- Trades a proof, and the anti-spam token that asked for it if there is one, for a proven token.
--
-- KEYS  1 leaderboard:<board>:state   2 outbox   3 token:<hash of the proven token>   4 spent:<hash of the proven token>
--       5 rate:inits:<userId>   6 ban:<userId>   7 limit:<userId>:<action>   8 proven:<userId>   9 session:<userId>
--       10 token:<anti-spam token's id>   11 spent:<anti-spam token's id>   12 answer:<userId>:<idempotency key's digest>
--       13 judging:<anti-spam token's id> (under a reservation alone)   then once:<digest> of each attestation in the proof
-- ARGV  1 user id   2 action type   3 points   4 attempt's id   5 proven token's hash   6 time to live (ms)
--       7 inits allowed a window (0: any)   8 window (ms)   9 least ms between two proven tokens (0: any)
--       10 the action's limits (see lib/limits)   11 most entries in the outbox
--       12 anti-spam token's id (empty: none)   13 its hash   14 its expiry (s, rounded up)
--       15 session that the request names (or empty)
--       16 proof (JSON or empty)   17 proof verified: 1 or 0; `?`: not judged yet (see lib/judging)
--       18 when it stands (see lib/proof), by the anti-spam token's age
--       19 digest of the request (empty: no idempotency key)   20 how long its answer is kept (ms)
--       21 the proven token, which is kept in the answer alone (empty: no idempotency key)
--       22 latest epoch and moment that the caller knows (see lib/epoch)
--       23 reservation for judging (see lib/judging; left out where no webhook judges)
-- Reply { code, inits used, ms until the window closes, replayed (0 or 1), … }
--       OK: + { when it runs out (ms), its time to live (ms), the proven token (empty: no idempotency key) }
--       TOO_SOON: + { ms to wait }; ACTION_LIMITED: + { ms to wait, the setting that refuses }
--       PROOF_INVALID: + { now (ms), 1 if the token was younger than it must be }; the anti-spam token is spent
--       RESERVED: all checks passed, and the proof is to be judged; JUDGING: another request's proof is being judged
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/precheck, lib/limits, lib/session, lib/token, lib/proof, lib/judging, lib/answer, lib/outbox.

local state_key, outbox_key, token_key, spent_key, rate_key, ban_key, limit_key, interval_key, session_key, asked_key,
  asked_spent_key, answer_key = unpack(KEYS, 1, 12)
local user, action, points, attempt_id, token_hash, ttl_ms = unpack(ARGV, 1, 6)
local rate_limit, rate_window_ms, interval_ms = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local limits, outbox_max = read_limits(ARGV[10]), tonumber(ARGV[11])
local asked_id, asked_hash, asked_expires_s, named_session = ARGV[12], ARGV[13], tonumber(ARGV[14]), ARGV[15]
local proof, verdict = ARGV[16], ARGV[17]
local min_ms, max_ms, from_ms, until_ms = read_span(ARGV[18])
local request_digest, answer_ttl_ms, kept_token = ARGV[19], ARGV[20], ARGV[21]
local reservation = read_reservation(ARGV[23])
local judging_key = reservation and KEYS[13]
local FIRST_ONCE_KEY = reservation and 14 or 13

local used, reset_ms = 0, 0
if rate_limit > 0 then
  used, reset_ms = count_attempt(rate_key, rate_window_ms)
end

local function reply(code, replayed, rest)
  return { code, used, reset_ms, replayed, unpack(rest or {}) }
end

local is_reserved = true
if reservation and verdict ~= NOT_JUDGED and asked_id ~= '' then
  -- The second run ends the reservation, whatever it answers.
  is_reserved = end_reservation(judging_key, reservation)
end

-- The first answer under an idempotency key is given again word for word; so it comes before every other check.
if request_digest ~= '' then
  local first_code, rest = first_answer(answer_key, request_digest)
  if first_code == false then
    return reply(KEY_REUSED, 0)
  elseif first_code then
    return reply(first_code, 1, rest)
  end
end

local code, state = admit(state_key, used, rate_limit, ban_key, ARGV[22], 'hlc_us')
local asked, asked_code = nil, OK
if asked_id ~= '' then
  asked, asked_code = read_anti_spam(asked_key, asked_spent_key, user, action, asked_expires_s)
end
local issued_ms = asked and asked.issued or now_text

local function proof_holds()
  return verdict == '1' and proof_stands(issued_ms, min_ms, max_ms, from_ms, until_ms, FIRST_ONCE_KEY)
end

local function keep_answer(code, rest)
  if request_digest ~= '' then
    keep_first_answer(answer_key, request_digest, answer_ttl_ms, code, rest)
  end
  return reply(code, 0, rest)
end

-- A closed board takes no entries, which the ledger would not expect.
local function spend_asked(kind, hlc_us)
  spend(asked_key, asked_spent_key, asked_expires_s * 1000)
  if state then
    write_outbox(outbox_key, {
      kind = kind, id = asked_id, user = user, action = action, points = points, issued = asked.issued,
      expires = int(asked_expires_s * 1000), token = asked_hash, proof = proof, hlc_us = hlc_us,
    })
  end
end

local function refuse_proof()
  local hlc_us = state and note_spent(state_key, state[3])
  if asked then
    spend_asked('refused', hlc_us)
  else
    write_outbox(outbox_key, {
      kind = 'refused', id = attempt_id, user = user, action = action, points = points, proof = proof, hlc_us = hlc_us,
    })
  end
  local too_young = now_ms - tonumber(issued_ms) < min_ms
  return keep_answer(PROOF_INVALID, { now_text, too_young and 1 or 0 })
end

if reservation and verdict ~= NOT_JUDGED and asked and asked_code == OK and not proof_holds() then
  -- All checks passed before the webhook was asked. A failed proof spends the token even if one refuses by now: else a player who
  -- makes it refuse in time (by ending the game session, say) could guess again.
  return refuse_proof()
end

if code ~= OK then
  return reply(code, 0)
end
if redis.call('EXISTS', interval_key) == 1 then
  return reply(TOO_SOON, 0, { math.max(1, window_left_ms(interval_key, interval_ms)) })
end

local session, session_code = read_session(session_key)
if named_session ~= '' then
  if session_code ~= OK then
    return reply(session_code, 0)
  end
  if session.id ~= named_session then
    return reply(SESSION_MISMATCH, 0)
  end
end
local session_id = session_code == OK and session.id or '-'

if asked_code ~= OK then
  return reply(asked_code, 0)
end
if not is_open(limits) then
  return reply(NOT_OPEN, 0)
end
local wait_ms, limit = action_wait_ms(limit_key, limits)
if wait_ms > 0 then
  return reply(ACTION_LIMITED, 0, { wait_ms, limit })
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return reply(OUTBOX_FULL, 0)
end
if verdict == NOT_JUDGED then
  return reply((not asked or reserve(judging_key, reservation)) and RESERVED or JUDGING, 0)
end
if not is_reserved then
  -- The judging took longer than the reservation, so another request may be judged by now.
  return reply(JUDGING, 0)
end
if not proof_holds() then
  return refuse_proof()
end

-- The last check is done: only writes from here on.
local hlc_us = note_spent(state_key, state[3])
local expires_ms = now_ms + tonumber(ttl_ms)
if asked then
  spend_asked('traded', hlc_us)
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
  once = once, hlc_us = hlc_us,
})
return keep_answer(OK, { int(expires_ms), ttl_ms, kept_token })
