-- Exchanges a proof, and the anti-spam token that the proof was made for if there is one, for a proven token.
--
-- Keys       shard_state      shard:state
--            outbox           outbox
--            token            token:<hash of the proven token>
--            spent            spent:<hash of the proven token>
--            rate             rate:inits:<userId>
--            ban              ban:<userId>
--            limit            limit:<userId>:<action>
--            interval         proven:<userId>
--            session          session:<userId>
--            init             token:<id of the anti-spam token>
--            init_spent       spent:<id of the anti-spam token>
--            answer           answer:<userId>:<digest of the idempotency key>
--            judging          judging:<id of the anti-spam token>; read under a reservation only
--            once             once:<digest> of each attestation in the proof
-- Arguments  user             UUID
--            action           action type
--            points           points of the action
--            attempt_id       id of the attempt
--            token_hash       SHA-256 of the proven token
--            ttl_ms           time to live
--            rate_limit       tokens allowed per window (0: any number)
--            rate_window_ms   length of the window
--            interval_ms      least time between two proven tokens (0: none)
--            limits           limits of the action, see lib/limits
--            outbox_max       most entries in the outbox
--            init_id          id of the anti-spam token; empty: none
--            init_hash        its SHA-256
--            init_expires_s   its expiry, rounded up to seconds
--            named_session    session that the request names, or empty
--            proof            proof as JSON, or empty
--            verdict          1: verified, 0: failed, `?`: not judged yet, see lib/judging
--            proof_span       when the proof is valid, by the age of the anti-spam token, see lib/proof
--            result           what the award is worth on boards, see lib/proof
--            request_digest   digest of the request; empty: no idempotency key
--            answer_ttl_ms    how long the answer is stored
--            proven_token     the proven token, which is stored in the answer only; empty: no idempotency key
--            latest           newest epoch and HLC that the node has seen, see lib/epoch
--            reservation      reservation for judging, see lib/judging; absent where no webhook judges
-- Reply      { code, tokens used, ms until the window closes, replayed (0 or 1), … }
--            OK: + PROVEN_FIELDS
--            TOO_SOON: + { ms to wait }; ACTION_LIMITED: + { ms to wait, name of the setting that refuses }
--            PROOF_INVALID: + { now (ms), 1 if the token is younger than it must be }; the anti-spam token is spent
--            RESERVED: all checks passed, the proof must be judged; JUDGING: another request's proof is being judged
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/precheck, lib/limits, lib/session, lib/token, lib/proof, lib/judging, lib/answer, lib/outbox.

local min_age_ms, max_age_ms, from_ms, until_ms = read_span(proof_span)

local used, reset_ms = 0, 0
if rate_limit > 0 then
  used, reset_ms = count_attempt(rate_key, rate_window_ms)
end

local function reply(code, replayed, rest)
  return { code, used, reset_ms, replayed, unpack(rest or {}) }
end

local is_reserved = true
if reservation and verdict ~= NOT_JUDGED and init_id ~= '' then
  -- The second run ends the reservation, whatever it answers.
  is_reserved = end_reservation(judging_key, reservation)
end

-- A repeat under an idempotency key gets the first answer unchanged, so this comes before every other check.
if request_digest ~= '' then
  local first_code, rest = first_answer(answer_key, request_digest)
  if first_code == false then
    return reply(KEY_REUSED, 0)
  elseif first_code then
    return reply(first_code, 1, rest)
  end
end

local code, state = admit(shard_state_key, used, rate_limit, ban_key, latest, 'hlc_us')
local init_code, init_issued = OK, nil
if init_id ~= '' then
  local stored = redis.call('MGET', init_key, init_spent_key)
  init_code, init_issued = read_anti_spam(stored[1], stored[2], user, action, init_expires_s)
end
local issued_ms = init_issued or now_text

local function proof_holds()
  return verdict == '1' and proof_stands(issued_ms, min_age_ms, max_age_ms, from_ms, until_ms, ONCE_KEYS_FROM, #KEYS)
end

local function keep_answer(answer_code, rest)
  if request_digest ~= '' then
    keep_first_answer(answer_key, request_digest, answer_ttl_ms, answer_code, rest)
  end
  return reply(answer_code, 0, rest)
end

-- A closed board gets no outbox entry, because the ledger would not expect it.
local function spend_init(kind, hlc_us)
  spend(init_key, init_spent_key, init_expires_s * 1000)
  if state then
    write_outbox(outbox_key, {
      kind = kind, id = init_id, user = user, action = action, points = points, issued = init_issued,
      expires = int(init_expires_s * 1000), token = init_hash, proof = proof, hlc_us = hlc_us,
    })
  end
end

local function refuse_proof()
  local hlc_us = state and note_spent(shard_state_key, state[3])
  if init_issued then
    spend_init('refused', hlc_us)
  else
    write_outbox(outbox_key, {
      kind = 'refused', id = attempt_id, user = user, action = action, points = points, proof = proof, hlc_us = hlc_us,
    })
  end
  local too_young = now_ms - tonumber(issued_ms) < min_age_ms
  return keep_answer(PROOF_INVALID, { now_text, too_young and 1 or 0 })
end

if reservation and verdict ~= NOT_JUDGED and init_issued and init_code == OK and not proof_holds() then
  -- All checks passed before the webhook was called. A failed proof spends the token even if a check refuses by now. Otherwise a player
  -- could make a check refuse in time, for example by ending the game session, and guess again.
  return refuse_proof()
end

if code ~= OK then
  return reply(code, 0)
end
if redis.call('EXISTS', interval_key) == 1 then
  return reply(TOO_SOON, 0, { math.max(1, window_left_ms(interval_key, interval_ms)) })
end

local session_code, session_id, _, actions = read_session(session_key)
if named_session ~= '' then
  if session_code ~= OK then
    return reply(session_code, 0)
  end
  if session_id ~= named_session then
    return reply(SESSION_MISMATCH, 0)
  end
end
session_id = session_code == OK and session_id or '-'

if init_code ~= OK then
  return reply(init_code, 0)
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
  return reply((not init_issued or reserve(judging_key, reservation)) and RESERVED or JUDGING, 0)
end
if not is_reserved then
  -- Judging took longer than the reservation lasts, so another request's proof may be with the webhook by now.
  return reply(JUDGING, 0)
end
if not proof_holds() then
  return refuse_proof()
end

-- All checks have passed; only writes follow.
local hlc_us = note_spent(shard_state_key, state[3])
local expires_ms = now_ms + tonumber(ttl_ms)
local expires_at_ms, token = int(expires_ms), proven_token
if init_issued then
  spend_init('traded', hlc_us)
end
local once = note_once(until_ms, ONCE_KEYS_FROM, #KEYS)
if tonumber(interval_ms) > 0 then
  redis.call('SET', interval_key, '1', 'PX', interval_ms)
end
write_token(token_key, user, action, session_id, points, result ~= '' and complete_result(result, issued_ms) or '-', expires_ms)
redis.call('SET', spent_key, '0', 'PXAT', int(expires_ms + HOUR_MS))
write_outbox(outbox_key, {
  kind = 'issued', id = attempt_id, user = user, action = action, points = points, expires = expires_at_ms,
  proof = proof, session = session_id ~= '-' and session_id, next = token_hash, actions = session_id ~= '-' and actions,
  once = once, hlc_us = hlc_us,
})
return keep_answer(OK, { PROVEN_FIELDS })
