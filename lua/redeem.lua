-- Redeems one token: the only script that adds points. All checks come first, in the contract's order; Redis does not
-- roll back, so nothing below the first write can fail.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:ten   4 leaderboard:<board>:window
--       5 outbox   6 user:score:<userId>   7 token:<tokenId>   8 spent:<tokenId>   9 rate:awards:<userId>
--       10 ban:<userId>   11 limit:<userId>:<action>   12 points:<userId>   13 answer:<userId>:<idempotency key's digest>
--       14 session:<userId>   15 token:<hash of the next token> (both at the game door alone)
-- ARGV  1 user id   2 user number   3 username   4 action type   5 points   6 attempt's id   7 token's hash
--       8 token's expiry (s, rounded up; 0: as its session's)   9 proof (JSON or empty)   10 proof verified (1 or 0)
--       11 least, 12 most ms since the token was issued (0: any)
--       13 attempts allowed a window (0: any)   14 window (ms)
--       15 cooldown (ms, 0: none)   16 cap a UTC day (0: none)   17 points an hour (0: any)
--       18 most entries in the outbox   19 board version that the caller holds   20 least ms between publications
--       21 channel of the board   22 channel of the user
--       23 digest of the request (empty: no idempotency key)   24 how long its answer is kept (ms)
--       25 next token (empty: not the game door)   26 its hash
-- Reply { code, attempts used, ms until the window closes, replayed (0 or 1), … }
--       OK: + { score, rank, rank before (0: none), board version, ms until a flush is due (0: none), next token (or empty),
--           its expiry (ms), the ten… }; the ten only if newer than the caller's version, or always with an idempotency key
--       ACTION_LIMITED: + { ms to wait }
--       PROOF_INVALID: + { now (ms) }; the token is spent, so that nobody can guess on
-- Needs lib/reply, lib/clock, lib/rate, lib/limits, lib/session, lib/board, lib/outbox.

local board_key, state_key, ten_key, window_key, outbox_key, score_key, token_key, spent_key, rate_key, ban_key,
  limit_key, points_key, answer_key, session_key, next_key = unpack(KEYS)
local user, number, username, action, points, attempt_id, token_hash = unpack(ARGV, 1, 7)
local expires_s, proof, proof_ok = tonumber(ARGV[8]), ARGV[9], ARGV[10] == '1'
local least_ms, most_ms = tonumber(ARGV[11]), tonumber(ARGV[12])
local rate_limit, rate_window_ms = tonumber(ARGV[13]), ARGV[14]
local cooldown_ms, cap_per_day, points_per_hour = tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])
local outbox_max, known_version, publish_window_ms = tonumber(ARGV[18]), tonumber(ARGV[19]), ARGV[20]
local board_channel, user_channel = ARGV[21], ARGV[22]
local request_digest, answer_ttl_ms = ARGV[23], ARGV[24]
local next_token, next_hash = ARGV[25], ARGV[26]

local LARGEST_SCORE = 9007199254740991
local HOUR_MS = 3600000

local used, reset_ms = 0, 0
if rate_limit > 0 then
  used, reset_ms = count_attempt(rate_key, rate_window_ms)
end

local function reply(code, replayed, rest)
  return { code, used, reset_ms, replayed, unpack(rest or {}) }
end

-- The first answer under an idempotency key is given again word for word; so it comes before every other check.
if request_digest ~= '' then
  local first = redis.call('LRANGE', answer_key, 0, -1)
  if first[1] then
    if first[1] ~= request_digest then
      return reply(KEY_REUSED, 0)
    end
    return reply(tonumber(first[2]), 1, { unpack(first, 3) })
  end
end

local state = redis.call('HMGET', state_key, 'epoch', 'moment', 'version', 'floor')
if not state[1] then
  return reply(BOARD_CLOSED, 0)
end
if rate_limit > 0 and used > rate_limit then
  return reply(RATE_LIMITED, 0)
end
if redis.call('EXISTS', ban_key) == 1 then
  return reply(BANNED, 0)
end

local session
if next_token ~= '' then
  local code
  session, code = read_session(session_key)
  if code ~= OK then
    return reply(code, 0)
  end
  expires_s = math.ceil(session.expires / 1000)
end
local token = redis.call('GET', token_key)
if not token then
  if redis.call('EXISTS', spent_key) == 1 then
    return reply(TOKEN_USED, 0)
  end
  -- The key lives to the millisecond, the token's own claim is rounded up to the second.
  return reply(not session and now_ms > (expires_s - 1) * 1000 and TOKEN_EXPIRED or TOKEN_UNKNOWN, 0)
end
local owner, bound_action, bound_session, issued_ms = token:match('^(%S+) (%S+) (%S+) (%d+)$')
if owner ~= user or (bound_action ~= '-' and bound_action ~= action) or (bound_action == '-' and not session) then
  return reply(TOKEN_UNKNOWN, 0)
end
if session and bound_session ~= session.id then
  return reply(SESSION_MISMATCH, 0)
end

local wait_ms = action_wait_ms(limit_key, cooldown_ms, cap_per_day)
if points_per_hour > 0 and tonumber(redis.call('GET', points_key) or 0) + tonumber(points) > points_per_hour then
  wait_ms = math.max(wait_ms, redis.call('PTTL', points_key), 1)
end
if wait_ms > 0 then
  return reply(ACTION_LIMITED, 0, { wait_ms })
end
-- Newer servers write 100000000 as 1e+8, so what ZSCORE says is never passed on as it is.
local known = redis.call('ZSCORE', board_key, user)
local before = known and int(tonumber(known))
local score = tonumber(known or 0) + tonumber(points)
if score > LARGEST_SCORE then
  return reply(SCORE_FULL, 0)
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return reply(OUTBOX_FULL, 0)
end
local age_ms = now_ms - tonumber(issued_ms)
if age_ms < least_ms or (most_ms > 0 and age_ms > most_ms) then
  proof_ok = false
end

-- The last check is done: only writes from here on.
local function keep_answer(code, rest)
  if request_digest ~= '' then
    redis.call('RPUSH', answer_key, request_digest, code, unpack(rest))
    redis.call('PEXPIRE', answer_key, answer_ttl_ms)
  end
  return reply(code, 0, rest)
end

redis.call('DEL', token_key)
redis.call('SET', spent_key, '1', 'PXAT', int((expires_s + 1) * 1000))
local entry = {
  kind = 'refused', id = attempt_id, user = user, action = action, points = points, issued = issued_ms,
  expires = int(session and session.expires or expires_s * 1000), token = token_hash, proof = proof,
  session = session and session.id,
}
if not proof_ok then
  if session then
    redis.call('HDEL', session_key, 'token')
  end
  write_outbox(outbox_key, entry)
  return keep_answer(PROOF_INVALID, { int(now_ms) })
end

local rank_before = before and redis.call('ZCOUNT', board_key, '(' .. before, '+inf') + 1 or 0
local after = int(score)
redis.call('ZADD', board_key, after, user)
redis.call('SET', score_key, after)
local rank = redis.call('ZCOUNT', board_key, '(' .. after, '+inf') + 1
note_action(limit_key, cooldown_ms, cap_per_day)
if points_per_hour > 0 and redis.call('INCRBY', points_key, points) == tonumber(points) then
  redis.call('PEXPIRE', points_key, HOUR_MS)
end

if session then
  redis.call('SET', next_key, user .. ' - ' .. session.id .. ' ' .. int(now_ms), 'PXAT', int(session.expires))
  redis.call('HSET', session_key, 'token', next_token)
  entry.actions = int(redis.call('HINCRBY', session_key, 'actions', 1))
  entry.next = next_hash
end

local moment = next_moment(state[2])
entry.kind, entry.before, entry.after, entry.moment = 'awarded', before or '0', after, int(moment)
write_outbox(outbox_key, entry)

local version, due_ms, ten = tonumber(state[3]) or 0, 0, nil
if score > (tonumber(state[4]) or -1) then
  local mine = table.concat({ after, int(moment), user, number, username }, ' ')
  ten = place(redis.call('LRANGE', ten_key, 0, -1), mine, user, score)
  version = moment
  write_ten(ten_key, state_key, ten, version)
  due_ms = publish(ten, state_key, window_key, board_channel, version, publish_window_ms)
else
  redis.call('HSET', state_key, 'moment', int(moment))
end
redis.call('PUBLISH', user_channel, table.concat({ after, rank, rank_before, points, int(moment) }, ' '))

if request_digest ~= '' or version > known_version then
  ten = ten or redis.call('LRANGE', ten_key, 0, -1)
else
  ten = {}
end
local next_expires = session and int(session.expires) or '0'
return keep_answer(OK, { after, rank, rank_before, int(version), due_ms, next_token, next_expires, unpack(ten) })
