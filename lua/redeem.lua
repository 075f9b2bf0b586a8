-- Redeems one token: the only script that adds points. All checks come first, in the contract's order; Redis does not
-- roll back, so nothing below the first write can fail.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:top   4 leaderboard:<board>:throttle
--       5 outbox   6 user:score:<userId>   7 token:<tokenId>   8 spent:<tokenId>   9 rate:awards:<userId>
--       10 ban:<userId>   11 limit:<userId>:<action>   12 points:<userId>   13 answer:<userId>:<idempotency key's digest>
--       14 session:<userId>   15 token:<hash of the next token> (at the game door alone)   16 quarantine:<userId>
--       17 judging:<tokenId> (under a reservation alone)   then once:<digest> of each attestation in the proof
-- ARGV  1 user id   2 user number   3 username   4 action type   5 points   6 attempt's id   7 token's hash
--       8 door: `actions`, `game` or `scores`   9 token's expiry (s, rounded up; 0: Redis knows)   10 session that the request
--       names (or empty)   11 proof (JSON or empty)   12 proof verified: 1 or 0; `?`: not judged yet (see lib/judging)
--       13 when it stands (see lib/proof)
--       14 attempts allowed a minute (0: any)   15 the action's limits (see lib/limits)   16 points an hour (0: any)
--       17 most entries in the outbox   18 board version that the caller holds   19 least ms between publications
--       20 channel of the board, 21 channel of the user (empty where this is one shard of several)
--       22 digest of the request (empty: no idempotency key)   23 how long its answer is kept (ms)
--       24 latest epoch and moment that the caller knows (see lib/epoch)  25 name of the key that signs the receipt
--       26 next token, 27 its hash (at the game door alone)   28 the most points that the proof can be worth, whatever it is
--       29 traceparent, 30 channel of traces (both left out or empty unless the request is traced)
--       31 reservation for judging (see lib/judging; left out where no webhook judges)
-- Reply { code, attempts used, ms until the window closes, replayed (0 or 1), epoch of the board (-1: not looked at), this run of Redis
--         (empty: not looked at), … }
--       OK: + { score, rank, rank before (0: none; both in this shard), points, board version, ms until a flush is due (0: none;
--           -1: this is one shard of several, and `complete` has to see to the rest), next token (or
--           empty), its expiry (ms), `receipt moment key action`, the ten… }; the ten only if newer than the caller's version, or
--           always with an idempotency key; an older release kept answers without the receipt's words
--       ACTION_LIMITED: + { ms to wait, the setting that refuses }
--       PROOF_INVALID: + { now (ms), 1 if the token was younger than it must be }; the token is spent, so that nobody can guess on
--       RESERVED: all checks passed, and the proof is to be judged; JUDGING: another request's proof is being judged
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/limits, lib/session, lib/token, lib/proof, lib/judging, lib/answer, lib/board, lib/outbox.

local board_key, state_key, top_key, throttle_key, outbox_key, score_key, token_key, spent_key, rate_key, ban_key,
  limit_key, points_key, answer_key, session_key, next_key, quarantine_key = unpack(KEYS, 1, 16)
local user, number, username, action, points, attempt_id, token_hash = unpack(ARGV, 1, 7)
local flow, expires_s, named_session = ARGV[8], tonumber(ARGV[9]), ARGV[10]
local proof, verdict = ARGV[11], ARGV[12]
local min_ms, max_ms, from_ms, until_ms = read_span(ARGV[13])
local rate_limit, limits, points_per_hour = tonumber(ARGV[14]), read_limits(ARGV[15]), tonumber(ARGV[16])
local outbox_max, known_version, publish_interval_ms = tonumber(ARGV[17]), tonumber(ARGV[18]), ARGV[19]
local board_channel, user_channel = ARGV[20], ARGV[21]
local request_digest, answer_ttl_ms, least, receipt_kid = ARGV[22], ARGV[23], ARGV[24], ARGV[25]
local next_token, next_hash, most_points, trace, trace_channel = unpack(ARGV, 26, 30)
if trace == '' then
  trace = nil
end
local reservation = read_reservation(ARGV[31])
local judging_key = reservation and KEYS[17]
local FIRST_ONCE_KEY = reservation and 18 or 17

local LARGEST_SCORE = 9007199254740991
local MINUTE_MS = 60000

local used, reset_ms = 0, 0
if rate_limit > 0 then
  used, reset_ms = count_attempt(rate_key, MINUTE_MS)
end

local epoch, run = '-1', ''

local function reply(code, replayed, rest)
  return { code, used, reset_ms, replayed, epoch, run, unpack(rest or {}) }
end

local is_reserved = true
if reservation and verdict ~= NOT_JUDGED then
  -- The second run ends the reservation, whatever it answers.
  is_reserved = end_reservation(judging_key, reservation)
end

-- The first answer under an idempotency key is given again word for word; so it comes before every other check.
if request_digest ~= '' then
  local first_code, rest = first_answer(answer_key, request_digest)
  if first_code == false then
    return reply(KEY_REUSED, 0)
  elseif first_code then
    run = run_id()
    return reply(first_code, 1, rest)
  end
end

-- The token as its door knows it, the session it is bound to, and when it runs out; or the code of what is wrong.
local function find_token()
  if flow == 'actions' then
    local token, code = read_anti_spam(token_key, spent_key, user, action, expires_s)
    return code, token, nil, expires_s * 1000
  end
  local session, session_code
  if flow == 'game' then
    session, session_code = read_session(session_key)
    if session_code ~= OK then
      return session_code
    end
  end
  local token, code = read_token(token_key, spent_key)
  if not token then
    return code
  end
  if token.owner ~= user then
    return TOKEN_FOREIGN
  end
  if flow == 'game' then
    if token.action ~= '-' then
      return TOKEN_UNKNOWN
    end
    return token.session == session.id and OK or SESSION_MISMATCH, token, session, session.expires
  end
  if token.action ~= action or token.points == '-' then
    return TOKEN_UNKNOWN
  end
  if named_session ~= '' and named_session ~= token.session then
    return SESSION_MISMATCH
  end
  if token.session ~= '-' then
    session, session_code = read_session(session_key)
    if session_code ~= OK then
      return session_code
    end
    if session.id ~= token.session then
      return SESSION_MISMATCH
    end
  end
  points, most_points = token.points, token.points
  return OK, token, session, now_ms + redis.call('PTTL', token_key)
end

local state = read_open(state_key, least, 'hlc_us', 'version', 'floor')
if state then
  epoch, run = state[1], state[2]
end
local token_code, token, session, expires_ms = find_token()
local proof_failed = token_code == OK and verdict ~= NOT_JUDGED
  and not (verdict == '1' and proof_stands(token.issued, min_ms, max_ms, from_ms, until_ms, FIRST_ONCE_KEY))
local ban, before, won_before, quarantined_score = unpack(redis.call('MGET', ban_key, score_key, points_key, quarantine_key))

-- All checks passed before a webhook was asked, so a proof that failed there spends the token even if one refuses by now: else a player
-- who makes it refuse in time (by reaching a cap with another token, say) could guess again.
if not (reservation and proof_failed) then
  if not state then
    return reply(BOARD_CLOSED, 0)
  end
  if rate_limit > 0 and used > rate_limit then
    return reply(RATE_LIMITED, 0)
  end
  if ban then
    return reply(BANNED, 0)
  end
  if token_code ~= OK then
    return reply(token_code, 0)
  end
  if not is_open(limits) then
    return reply(NOT_OPEN, 0)
  end
  -- Limits of points count the most that a proof can be worth: a refusal that leaves the token must not depend on the proof.
  most_points = tonumber(most_points)
  local wait_ms, limit = action_wait_ms(limit_key, limits, true)
  if points_per_hour > 0 and tonumber(won_before or 0) + most_points > points_per_hour then
    local left_ms = math.max(window_left_ms(points_key, HOUR_MS), 1)
    if left_ms > wait_ms then
      wait_ms, limit = left_ms, 'points_per_hour'
    end
  end
  if wait_ms > 0 then
    return reply(ACTION_LIMITED, 0, { wait_ms, limit })
  end
  if tonumber(before or 0) + most_points > LARGEST_SCORE then
    return reply(SCORE_FULL, 0)
  end
  if redis.call('XLEN', outbox_key) >= outbox_max then
    return reply(OUTBOX_FULL, 0)
  end
  if verdict == NOT_JUDGED then
    return reply(reserve(judging_key, reservation) and RESERVED or JUDGING, 0)
  end
  if not is_reserved then
    -- The judging took longer than the reservation, so another request may be judged by now.
    return reply(JUDGING, 0)
  end
end

local function keep_answer(code, rest)
  if request_digest ~= '' then
    keep_first_answer(answer_key, request_digest, answer_ttl_ms, code, rest)
  end
  return reply(code, 0, rest)
end

-- The last check is done: only writes from here on.
local expires_text = int(expires_ms)
if proof_failed then
  spend(token_key, spent_key, expires_ms)
  if flow == 'game' then
    redis.call('HDEL', session_key, 'token')
  end
  if state then
    -- A closed board takes no entries, which the ledger would not expect.
    write_outbox(outbox_key, {
      kind = 'refused', id = attempt_id, user = user, action = action, points = points, issued = token.issued,
      expires = expires_text, token = token_hash, proof = proof, session = session and session.id, trace = trace,
      hlc_us = note_spent(state_key, state[3]),
    })
  end
  local too_young = now_ms - tonumber(token.issued) < min_ms
  return keep_answer(PROOF_INVALID, { now_text, too_young and 1 or 0 })
end
spend(token_key, spent_key, flow == 'scores' and expires_ms + HOUR_MS or expires_ms)
local once = note_once(until_ms, FIRST_ONCE_KEY)

-- Somebody who was set aside goes on, and is shown as before: the points are held back until an operator confirms them.
local held = quarantined_score ~= false
local score = tonumber(before or 0) + tonumber(points)
local rank_before = before and redis.call('ZCOUNT', board_key, '(' .. before, '+inf') + 1 or 0
local after = int(score)
if not held then
  redis.call('ZADD', board_key, after, user)
end
redis.call('SET', score_key, after)
local rank = redis.call('ZCOUNT', board_key, '(' .. after, '+inf') + 1
note_action(limit_key, limits)
if points_per_hour > 0 and redis.call('INCRBY', points_key, points) == tonumber(points) then
  redis.call('PEXPIRE', points_key, HOUR_MS)
end

local actions = session and redis.call('HINCRBY', session_key, 'actions', 1)
if flow == 'game' then
  write_token(next_key, user, '-', session.id, '-', session.expires)
  redis.call('HSET', session_key, 'token', next_token)
end

local hlc_us = next_hlc_us(state[3])
local stamp = int(hlc_us)
write_outbox(outbox_key, {
  kind = 'awarded', id = attempt_id, user = user, action = action, points = points, before = before or '0', after = after,
  hlc_us = stamp, issued = token.issued, expires = expires_text, token = token_hash, session = session and session.id,
  next = next_hash, actions = actions and int(actions), held = held, once = once, trace = trace, proof = proof,
})

local version, due_ms, top = tonumber(state[4]) or 0, board_channel == '' and -1 or 0, nil
if not held and score > (tonumber(state[5]) or -1) then
  local mine = table.concat({ after, stamp, user, number, username }, ' ')
  top = place(redis.call('LRANGE', top_key, 0, -1), mine, user, score)
  version = hlc_us
  write_top(board_key, top_key, state_key, top, version)
  if trace then
    -- Ahead of the board, whoever publishes it and when: each node keeps it until a board of this version or a newer one comes.
    redis.call('PUBLISH', trace_channel, stamp .. ' ' .. trace)
  end
  due_ms = publish(top, state_key, throttle_key, board_channel, version, publish_interval_ms)
else
  redis.call('HSET', state_key, 'hlc_us', stamp)
end
if user_channel ~= '' then
  redis.call('PUBLISH', user_channel, table.concat({ after, rank, rank_before, points, stamp }, ' '))
end

if request_digest ~= '' or version > known_version then
  top = top or redis.call('LRANGE', top_key, 0, -1)
else
  top = {}
end
local game = flow == 'game'
-- What a receipt says besides, so that it can be signed again by the same key in the same words.
local receipt = table.concat({ 'receipt', stamp, receipt_kid, action }, ' ')
return keep_answer(OK, {
  after, rank, rank_before, points, int(version), due_ms, game and next_token or '', game and int(session.expires) or '0',
  receipt, unpack(top),
})
