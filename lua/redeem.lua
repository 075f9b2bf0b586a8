-- Redeems one token. No other script of a player's request adds points. All checks come first, in the order of the API's errors.
-- Redis does not roll back, so nothing after the first write can fail.
--
-- A list of tokens shares the first keys and arguments. The others of each token come after them; those that are `nil` where they are
-- absent may be missing at the end.
--
-- Keys       board                leaderboard:<board>; from here on shared
--            shard_state          shard:state
--            board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
--            outbox               outbox
--            token                token:<tokenId>; from here on of one token
--            spent                spent:<tokenId>
--            score                user:score:<userId>
--            ban                  ban:<userId>
--            session              session:<userId>
--            quarantine           quarantine:<userId>
--            next                 token:<hash of the next token>; nil but in the game flow
--            rate                 rate:awards:<userId>; nil if any number of attempts is allowed
--            limit                limit:<userId>:<action>; nil if the action has no limits
--            hour_points          points:<userId>; nil if any number of points is allowed
--            answer               answer:<userId>:<digest of the idempotency key>; nil without one
--            judging              judging:<tokenId>; nil without a reservation
--            once                 attempts:<userId> if there are rules for attempts; then once:<digest> of each attestation in the proof
-- Arguments  outbox_max           most entries in the outbox; from here on shared
--            known_version        board version that the node holds
--            publish_interval_ms  least time between two publications
--            board_channel        channel of the board; empty: this is one of several shards
--            user_channels        what the channel of a user begins with; empty: this is one of several shards
--            trace_channel        channel of traces
--            latest               newest epoch and HLC that the node has seen, see lib/epoch
--            receipt_kid          id of the key that signs the receipt
--            user                 UUID; from here on of one token
--            name                 the user's serial number and the name on the board
--            action               action type
--            points               points of the action
--            attempt_id           id of the attempt, which becomes the id of the ledger entry
--            token_hash           SHA-256 of the token
--            flow                 `actions`, `game` or `tokens`
--            verdict              1: verified, 0: failed, `?`: not judged yet, see lib/judging
--            expires_s            expiry of the token, rounded up to seconds (nil: Redis knows it)
--            next_token           next token; used by the game flow only
--            next_hash            its SHA-256
--            rate_limit           attempts allowed per minute (nil: any number)
--            limits               limits of the action, see lib/limits
--            points_per_hour      points allowed per hour (nil: any number)
--            request_digest       digest of the request; nil: no idempotency key
--            answer_ttl_ms        how long the answer is stored
--            most_points          the most points that any proof could be worth, if that is more
--            proof                proof as JSON
--            proof_span           when the proof is valid, see lib/proof
--            result               what the award is worth on boards, see lib/proof
--            named_session        session that the request names
--            trace                traceparent; nil: the request is not traced
--            reservation          reservation for judging, see lib/judging; nil where no webhook judges
--            attempts             rules of boards with attempts, see lib/attempts; nil if none counts the action
-- Reply      one text, with a line for each: HEAD_LINES (replayed 0 or 1; epoch -1 and run empty: not read), then
--            OK: + AWARD_LINES, then the top list…
--                rank (0: no points) and rank_before (0: none) count this shard; flush_due_ms 0: none is due, -1: the merged
--                board must take this shard; next_token may be empty; the top list comes only if it is newer than known_version,
--                or always with an idempotency key
--            ACTION_LIMITED: + { ms to wait, name of the setting that refuses }
--            PROOF_INVALID: + { now (ms), 1 if the token is younger than it must be }; the token is spent, so nobody can guess again
--            RESERVED: all checks passed, the proof must be judged; JUDGING: another request's proof is being judged
-- Needs lib/reply, lib/clock, lib/epoch, lib/rate, lib/limits, lib/session, lib/token, lib/proof, lib/attempts, lib/judging, lib/answer, lib/entry, lib/board, lib/personal_update, lib/outbox.

local LARGEST_SCORE = 9007199254740991
local MINUTE_MS = 60000

-- What the tokens of a list share is read for the first one, and kept as each of them changes it. `state` is false while the board is closed.
local state, hlc, outbox_length, board = nil, 0, nil, nil
local epoch, run = '-1', ''

local function reply(code, replayed, used, reset_ms, rest)
  local head = HEAD_LINES
  return rest and #rest > 0 and head .. '\n' .. table.concat(rest, '\n') or head
end

-- Returns a code; if it is OK also when the token was issued (ms, a text) and when it expires (ms), its session and the awards in that so far, if
-- it has one, and of a proven token its points and result.
local function find_token(flow, stored, spent, user, action, expires_s, named_session, session_key, token_key)
  if flow == 'actions' then
    local code, issued = read_anti_spam(stored, spent, user, action, expires_s)
    return code, issued, expires_s * 1000
  end
  local session_code, session, session_expires_ms, awards
  if flow == 'game' then
    session_code, session, session_expires_ms, awards = read_session(session_key)
    if session_code ~= OK then
      return session_code
    end
  end
  local code, owner, own_action, own_session, issued, points, result = read_token(stored, spent)
  if code ~= OK then
    return code
  end
  if owner ~= user then
    return TOKEN_FOREIGN
  end
  if flow == 'game' then
    if own_action ~= '-' then
      return TOKEN_UNKNOWN
    end
    return own_session == session and OK or SESSION_MISMATCH, issued, session_expires_ms, session, awards
  end
  if own_action ~= action or points == '-' then
    return TOKEN_UNKNOWN
  end
  if named_session and named_session ~= own_session then
    return SESSION_MISMATCH
  end
  if own_session ~= '-' then
    session_code, session, session_expires_ms, awards = read_session(session_key)
    if session_code ~= OK then
      return session_code
    end
    if session ~= own_session then
      return SESSION_MISMATCH
    end
  end
  return OK, issued, now_ms + redis.call('PTTL', token_key), session, awards, points, result ~= '-' and result or nil
end

-- From here on the text is that of one token: redeem_list.lua has it in a function.
local min_age_ms, max_age_ms, from_ms, until_ms = read_span(proof_span)

local attempt_rules, attempts_key, once_from = attempts and cjson.decode(attempts), nil, ONCE_KEYS_FROM
if attempts then
  attempts_key, once_from = KEYS[ONCE_KEYS_FROM], ONCE_KEYS_FROM + 1
end

local used, reset_ms = '0', '0'
if rate_limit then
  used, reset_ms = count_attempt(rate_key, MINUTE_MS)
end

local is_reserved = true
if reservation and verdict ~= NOT_JUDGED then
  -- The second run ends the reservation, whatever it answers.
  is_reserved = end_reservation(judging_key, reservation)
end

-- A repeat under an idempotency key gets the first answer unchanged, so this comes before every other check.
if request_digest then
  local first_code, rest = first_answer(answer_key, request_digest)
  if first_code == false then
    return reply(KEY_REUSED, 0, used, reset_ms)
  elseif first_code then
    run = run_id()
    return reply(first_code, 1, used, reset_ms, rest)
  end
end

local stored_token, stored_spent, ban, before, shown_score =
  unpack(redis.call('MGET', token_key, spent_key, ban_key, score_key, quarantine_key))

if state == nil then
  state = read_open(shard_state_key, latest, 'hlc_us') or false
  if state then
    epoch, run, hlc = state[1], state[2], tonumber(state[3] or 0)
  end
end
local token_code, issued, expires_ms, session, awards, own_points, own_result =
  find_token(flow, stored_token, stored_spent, user, action, expires_s, named_session, session_key, token_key)
if own_points then
  points, result, most_points = own_points, own_result, nil
end
result = result or ''
local earned = tonumber(points)
most_points = most_points or earned
local proof_failed = token_code == OK and verdict ~= NOT_JUDGED
  and not (verdict == '1' and proof_stands(issued, min_age_ms, max_age_ms, from_ms, until_ms, once_from, last_key))

local stored_limits
-- All checks passed before a webhook was called. A proof that failed there spends the token even if a check refuses by now. Otherwise a
-- player could make a check refuse in time, for example by reaching a cap with another token, and guess again.
if not (reservation and proof_failed) then
  if not state then
    return reply(BOARD_CLOSED, 0, used, reset_ms)
  end
  if rate_limit and used > rate_limit then
    return reply(RATE_LIMITED, 0, used, reset_ms)
  end
  if ban then
    return reply(BANNED, 0, used, reset_ms)
  end
  if token_code ~= OK then
    return reply(token_code, 0, used, reset_ms)
  end
  if not is_open(limits) then
    return reply(NOT_OPEN, 0, used, reset_ms)
  end
  -- Limits of points count the most that any proof could be worth: a refusal that leaves the token must not depend on the proof.
  local wait_ms, limit
  wait_ms, limit, stored_limits = action_wait_ms(limit_key, limits, true)
  if points_per_hour and tonumber(redis.call('GET', hour_points_key) or 0) + most_points > points_per_hour then
    local left_ms = math.max(window_left_ms(hour_points_key, HOUR_MS), 1)
    if left_ms > wait_ms then
      wait_ms, limit = left_ms, 'points_per_hour'
    end
  end
  if attempt_rules and wait_ms == 0 then
    local verified = verdict ~= NOT_JUDGED and not proof_failed and complete_result(result, issued) or nil
    wait_ms, limit = attempts_wait_ms(attempts_key, attempt_rules, next_hlc(hlc), verified), 'attempts'
  end
  if wait_ms > 0 then
    return reply(ACTION_LIMITED, 0, used, reset_ms, { int(wait_ms), limit })
  end
  if tonumber(before or 0) + most_points > LARGEST_SCORE then
    return reply(SCORE_FULL, 0, used, reset_ms)
  end
  outbox_length = outbox_length or redis.call('XLEN', outbox_key)
  if outbox_length >= outbox_max then
    return reply(OUTBOX_FULL, 0, used, reset_ms)
  end
  if verdict == NOT_JUDGED then
    return reply(reserve(judging_key, reservation) and RESERVED or JUDGING, 0, used, reset_ms)
  end
  if not is_reserved then
    -- Judging took longer than the reservation lasts, so another request's proof may be with the webhook by now.
    return reply(JUDGING, 0, used, reset_ms)
  end
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
    local spent_hlc_us = note_spent(shard_state_key, hlc)
    hlc, outbox_length = tonumber(spent_hlc_us), outbox_length and outbox_length + 1
    write_outbox(outbox_key, {
      kind = 'refused', id = attempt_id, user = user, action = action, points = points, issued = issued,
      expires = expires_text, token = token_hash, proof = proof, session = session, trace = trace,
      hlc_us = spent_hlc_us,
    })
  end
  local answer = { now_text, now_ms - tonumber(issued) < min_age_ms and '1' or '0' }
  if request_digest then
    keep_first_answer(answer_key, request_digest, answer_ttl_ms, PROOF_INVALID, answer)
  end
  return reply(PROOF_INVALID, 0, used, reset_ms, answer)
end
spend(token_key, spent_key, flow == 'tokens' and expires_ms + HOUR_MS or expires_ms)
local once = note_once(until_ms, once_from, last_key)

-- Quarantined players keep earning, but held points stay off the board until an admin approves them.
local held = shown_score ~= false
local total = tonumber(before or 0) + earned
local rank_before = before and int(redis.call('ZCOUNT', board_key, '(' .. before, '+inf') + 1) or '0'
local score, rank = int(total), rank_before
-- An award of 0 points does not touch the board: who was first among equal scores stays so, and who has no points has no rank.
if earned > 0 then
  if not held then
    redis.call('ZADD', board_key, score, user)
  end
  redis.call('SET', score_key, score)
  rank = int(redis.call('ZCOUNT', board_key, '(' .. score, '+inf') + 1)
end
note_action(limit_key, limits, stored_limits)
if earned > 0 and points_per_hour and redis.call('INCRBY', hour_points_key, points) == earned then
  redis.call('PEXPIRE', hour_points_key, HOUR_MS)
end

awards = awards and int(awards + 1)
local next_expires_ms = '0'
if flow == 'game' then
  write_token(next_key, user, '-', session, '-', '-', expires_ms)
  redis.call('HSET', session_key, 'actions', awards, 'token', next_token)
  next_expires_ms = expires_text
elseif session then
  redis.call('HSET', session_key, 'actions', awards)
end

hlc = next_hlc(hlc)
local hlc_us = int(hlc)
result = complete_result(result, issued)
if attempt_rules then
  note_attempt(attempts_key, attempt_rules, hlc, result)
end
if not IS_IN_LIST then
  redis.call('HSET', shard_state_key, 'hlc_us', hlc_us)
end
outbox_length = outbox_length + 1
write_outbox(outbox_key, {
  kind = 'awarded', id = attempt_id, user = user, action = action, points = points, before = before or '0', after = score,
  hlc_us = hlc_us, issued = issued, expires = expires_text, token = token_hash, session = session, next = next_hash,
  actions = awards, held = held and '1', once = once, trace = trace, result = result, proof = proof,
})

board = board or redis.call('HMGET', board_state_key, 'version', 'floor')
local version, flush_due_ms, top = board[1] or '0', board_channel == '' and '-1' or '0', nil
if earned > 0 and not held and total > (tonumber(board[2]) or -1) then
  top = place(redis.call('LRANGE', top_key, 0, -1), write_entry(score, hlc_us, user, name), user, total)
  version = hlc_us
  write_top(top_key, top)
  if trace then
    -- Publish the trace context before the board, so that nodes have it when the board arrives.
    redis.call('PUBLISH', trace_channel, hlc_us .. ' ' .. trace)
  end
  flush_due_ms = int(show(board_state_key, throttle_key, top, version, board_channel, publish_interval_ms,
    'floor', floor_of(board_key, top)))
  board = nil
end
if user_channels ~= '' then
  publish_update(user_channels .. user, score, rank, rank_before, points, hlc_us)
end

if request_digest or tonumber(version) > known_version then
  top = top or redis.call('LRANGE', top_key, 0, -1)
else
  top = nil
end
next_token = next_token or ''
-- OK, as a text: to format a number costs as much as to read a key.
local code, replayed = '0', '0'
if request_digest then
  keep_first_answer(answer_key, request_digest, answer_ttl_ms, code, { AWARD_FIELDS, unpack(top) })
end
local lines = HEAD_LINES .. '\n' .. AWARD_LINES
return top and #top > 0 and lines .. '\n' .. table.concat(top, '\n') or lines
