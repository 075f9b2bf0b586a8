-- Redeems one token. No other script of a player's request adds points. All checks come first, in the order of the API's errors.
-- Redis does not roll back, so nothing after the first write can fail.
--
-- Keys       board                leaderboard:<board>
--            shard_state          shard:state
--            board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
--            outbox               outbox
--            score                user:score:<userId>
--            token                token:<tokenId>
--            spent                spent:<tokenId>
--            rate                 rate:awards:<userId>
--            ban                  ban:<userId>
--            limit                limit:<userId>:<action>
--            hour_points          points:<userId>
--            answer               answer:<userId>:<digest of the idempotency key>
--            session              session:<userId>
--            next                 token:<hash of the next token>; used by the game flow only
--            quarantine           quarantine:<userId>
--            judging              judging:<tokenId>; read under a reservation only
--            once                 attempts:<userId> if there are rules for attempts; then once:<digest> of each attestation in the proof
-- Arguments  user                 UUID
--            number               the user's serial number
--            username             name on the board
--            action               action type
--            points               points of the action
--            attempt_id           id of the attempt, which becomes the id of the ledger entry
--            token_hash           SHA-256 of the token
--            flow                 `actions`, `game` or `tokens`
--            expires_s            expiry of the token, rounded up to seconds (0: Redis knows it)
--            named_session        session that the request names, or empty
--            proof                proof as JSON, or empty
--            verdict              1: verified, 0: failed, `?`: not judged yet, see lib/judging
--            proof_span           when the proof is valid, see lib/proof
--            result               what the award is worth on boards, see lib/proof
--            rate_limit           attempts allowed per minute (0: any number)
--            limits               limits of the action, see lib/limits
--            points_per_hour      points allowed per hour (0: any number)
--            outbox_max           most entries in the outbox
--            known_version        board version that the node holds
--            publish_interval_ms  least time between two publications
--            board_channel        channel of the board; empty: this is one of several shards
--            user_channel         channel of the user; empty: this is one of several shards
--            request_digest       digest of the request; empty: no idempotency key
--            answer_ttl_ms        how long the answer is stored
--            latest               newest epoch and HLC that the node has seen, see lib/epoch
--            receipt_kid          id of the key that signs the receipt
--            next_token           next token; used by the game flow only
--            next_hash            its SHA-256
--            most_points          the most points that any proof could be worth
--            trace                traceparent; absent: the request is not traced
--            trace_channel        channel of traces
--            reservation          reservation for judging, see lib/judging; absent where no webhook judges
--            attempts             rules of boards with attempts, see lib/attempts; absent if none counts the action
-- Reply      HEAD_FIELDS (replayed 0 or 1; epoch -1 and run empty: not read), then
--            OK: + AWARD_FIELDS, then the top list…
--                rank (0: no points) and rank_before (0: none) count this shard; flush_due_ms 0: none is due, -1: the merged
--                board must take this shard; next_token may be empty; the top list comes only if it is newer than known_version,
--                or always with an idempotency key
--            ACTION_LIMITED: + { ms to wait, name of the setting that refuses }
--            PROOF_INVALID: + { now (ms), 1 if the token is younger than it must be }; the token is spent, so nobody can guess again
--            RESERVED: all checks passed, the proof must be judged; JUDGING: another request's proof is being judged
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/limits, lib/session, lib/token, lib/proof, lib/attempts, lib/judging, lib/answer, lib/entry, lib/board, lib/personal_update, lib/outbox.

local LARGEST_SCORE = 9007199254740991
local MINUTE_MS = 60000

-- What the tokens of a list share is read for the first one, and kept as each of them changes it.
local state, checked_latest, outbox_length, board = nil, nil, nil, nil

-- From here on the text is that of one token: redeem_list.lua has it in a function.
local min_age_ms, max_age_ms, from_ms, until_ms = read_span(proof_span)

local attempt_rules, attempts_key, once_from = attempts and cjson.decode(attempts), nil, ONCE_KEYS_FROM
if attempts then
  attempts_key, once_from = KEYS[ONCE_KEYS_FROM], ONCE_KEYS_FROM + 1
end

local used, reset_ms = 0, 0
if rate_limit > 0 then
  used, reset_ms = count_attempt(rate_key, MINUTE_MS)
end

local epoch, run = '-1', ''

local function reply(code, replayed, rest)
  return { HEAD_FIELDS, unpack(rest or {}) }
end

local is_reserved = true
if reservation and verdict ~= NOT_JUDGED then
  -- The second run ends the reservation, whatever it answers.
  is_reserved = end_reservation(judging_key, reservation)
end

-- A repeat under an idempotency key gets the first answer unchanged, so this comes before every other check.
if request_digest ~= '' then
  local first_code, rest = first_answer(answer_key, request_digest)
  if first_code == false then
    return reply(KEY_REUSED, 0)
  elseif first_code then
    run = run_id()
    return reply(first_code, 1, rest)
  end
end

local stored_token, stored_spent, ban, before, won_before, shown_score =
  unpack(redis.call('MGET', token_key, spent_key, ban_key, score_key, hour_points_key, quarantine_key))

-- Returns a code and, if it is OK, the token, its session if it has one, and when the token expires.
local function find_token()
  if flow == 'actions' then
    local token, code = read_anti_spam(stored_token, stored_spent, user, action, expires_s)
    return code, token, nil, expires_s * 1000
  end
  local session, session_code
  if flow == 'game' then
    session, session_code = read_session(session_key)
    if session_code ~= OK then
      return session_code
    end
  end
  local token, code = read_token(stored_token, stored_spent)
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
  points, most_points = token.points, tonumber(token.points)
  result = token.result ~= '-' and token.result or ''
  return OK, token, session, now_ms + redis.call('PTTL', token_key)
end

if latest ~= checked_latest then
  state, checked_latest = read_open(shard_state_key, latest, 'hlc_us'), latest
end
if state then
  epoch, run = state[1], state[2]
end
local token_code, token, session, expires_ms = find_token()
local proof_failed = token_code == OK and verdict ~= NOT_JUDGED
  and not (verdict == '1' and proof_stands(token.issued, min_age_ms, max_age_ms, from_ms, until_ms, once_from, last_key))

local stored_limits
-- All checks passed before a webhook was called. A proof that failed there spends the token even if a check refuses by now. Otherwise a
-- player could make a check refuse in time, for example by reaching a cap with another token, and guess again.
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
  -- Limits of points count the most that any proof could be worth: a refusal that leaves the token must not depend on the proof.
  local wait_ms, limit
  wait_ms, limit, stored_limits = action_wait_ms(limit_key, limits, true)
  if points_per_hour > 0 and tonumber(won_before or 0) + most_points > points_per_hour then
    local left_ms = math.max(window_left_ms(hour_points_key, HOUR_MS), 1)
    if left_ms > wait_ms then
      wait_ms, limit = left_ms, 'points_per_hour'
    end
  end
  if attempt_rules and wait_ms == 0 then
    local verified = verdict ~= NOT_JUDGED and not proof_failed and complete_result(result, token.issued) or nil
    wait_ms, limit = attempts_wait_ms(attempts_key, attempt_rules, next_hlc(state[3]), verified), 'attempts'
  end
  if wait_ms > 0 then
    return reply(ACTION_LIMITED, 0, { wait_ms, limit })
  end
  if tonumber(before or 0) + most_points > LARGEST_SCORE then
    return reply(SCORE_FULL, 0)
  end
  outbox_length = outbox_length or redis.call('XLEN', outbox_key)
  if outbox_length >= outbox_max then
    return reply(OUTBOX_FULL, 0)
  end
  if verdict == NOT_JUDGED then
    return reply(reserve(judging_key, reservation) and RESERVED or JUDGING, 0)
  end
  if not is_reserved then
    -- Judging took longer than the reservation lasts, so another request's proof may be with the webhook by now.
    return reply(JUDGING, 0)
  end
end

local function keep_answer(code, rest)
  if request_digest ~= '' then
    keep_first_answer(answer_key, request_digest, answer_ttl_ms, code, rest)
  end
  return reply(code, 0, rest)
end

-- All checks have passed; only writes follow.
local expires_text = int(expires_ms)
if proof_failed then
  spend(token_key, spent_key, expires_ms)
  if flow == 'game' then
    redis.call('HDEL', session_key, 'token')
  end
  if state then
    -- A closed board gets no outbox entry, because the ledger would not expect it.
    state[3] = note_spent(shard_state_key, state[3])
    outbox_length = outbox_length and outbox_length + 1
    write_outbox(outbox_key, {
      kind = 'refused', id = attempt_id, user = user, action = action, points = points, issued = token.issued,
      expires = expires_text, token = token_hash, proof = proof, session = session and session.id, trace = trace,
      hlc_us = state[3],
    })
  end
  local too_young = now_ms - tonumber(token.issued) < min_age_ms
  return keep_answer(PROOF_INVALID, { now_text, too_young and 1 or 0 })
end
spend(token_key, spent_key, flow == 'tokens' and expires_ms + HOUR_MS or expires_ms)
local once = note_once(until_ms, once_from, last_key)

-- Quarantined players keep earning, but held points stay off the board until an admin approves them.
local held = shown_score ~= false
local earned = tonumber(points)
local total = tonumber(before or 0) + earned
local rank_before = before and redis.call('ZCOUNT', board_key, '(' .. before, '+inf') + 1 or 0
local score, rank = int(total), rank_before
-- An award of 0 points does not touch the board: who was first among equal scores stays so, and who has no points has no rank.
if earned > 0 then
  if not held then
    redis.call('ZADD', board_key, score, user)
  end
  redis.call('SET', score_key, score)
  rank = redis.call('ZCOUNT', board_key, '(' .. score, '+inf') + 1
end
note_action(limit_key, limits, stored_limits)
if earned > 0 and points_per_hour > 0 and redis.call('INCRBY', hour_points_key, points) == earned then
  redis.call('PEXPIRE', hour_points_key, HOUR_MS)
end

local actions = session and int(session.actions + 1)
local next_expires_ms = '0'
if flow == 'game' then
  write_token(next_key, user, '-', session.id, '-', '-', session.expires)
  redis.call('HSET', session_key, 'actions', actions, 'token', next_token)
  next_expires_ms = int(session.expires)
elseif session then
  redis.call('HSET', session_key, 'actions', actions)
end

local hlc_us = int(next_hlc(state[3]))
if attempt_rules then
  note_attempt(attempts_key, attempt_rules, tonumber(hlc_us), complete_result(result, token.issued))
end
redis.call('HSET', shard_state_key, 'hlc_us', hlc_us)
state[3], outbox_length = hlc_us, outbox_length + 1
write_outbox(outbox_key, {
  kind = 'awarded', id = attempt_id, user = user, action = action, points = points, before = before or '0', after = score,
  hlc_us = hlc_us, issued = token.issued, expires = expires_text, token = token_hash, session = session and session.id,
  next = next_hash, actions = actions, held = held and '1', once = once, trace = trace,
  result = complete_result(result, token.issued), proof = proof,
})

board = board or redis.call('HMGET', board_state_key, 'version', 'floor')
local version, flush_due_ms, top = board[1] or '0', board_channel == '' and -1 or 0, nil
if earned > 0 and not held and total > (tonumber(board[2]) or -1) then
  top = place(redis.call('LRANGE', top_key, 0, -1), write_entry(score, hlc_us, user, number, username), user, total)
  version = hlc_us
  write_top(top_key, top)
  if trace then
    -- Publish the trace context before the board, so that nodes have it when the board arrives.
    redis.call('PUBLISH', trace_channel, hlc_us .. ' ' .. trace)
  end
  flush_due_ms = show(board_state_key, throttle_key, top, version, board_channel, publish_interval_ms,
    'floor', floor_of(board_key, top))
  board = nil
end
if user_channel ~= '' then
  publish_update(user_channel, score, rank, rank_before, points, hlc_us)
end

if request_digest ~= '' or tonumber(version) > known_version then
  top = top or redis.call('LRANGE', top_key, 0, -1)
else
  top = {}
end
local code, replayed = OK, 0
if request_digest ~= '' then
  keep_first_answer(answer_key, request_digest, answer_ttl_ms, code, { AWARD_FIELDS, unpack(top) })
end
-- `reply` would copy the list once more, which costs 1 % of an award.
return { HEAD_FIELDS, AWARD_FIELDS, unpack(top) }
