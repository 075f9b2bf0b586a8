-- A single-use token: a STRING `userId action sessionId issuedAtMs points result`, with `-` for what it is not bound to. An anti-spam token
-- is bound to its action, a game token to its session, a proven token to both (to a session if there was one) and to the points and the
-- result (see lib/outbox) that its proof was worth. `spent:<tokenId>` is `1` once the token was redeemed. For a proven token it is `0` from
-- the start, so that an expired token differs from one that never was.

-- Takes the values of `token:<tokenId>` and `spent:<tokenId>`. Returns a reply code; and if it is OK the words of the token.
local function read_token(stored, spent)
  if not stored then
    return spent == '1' and TOKEN_USED or spent == '0' and TOKEN_EXPIRED or TOKEN_UNKNOWN
  end
  return OK, stored:match('^(%S+) (%S+) (%S+) (%d+) (%S+) (%S+)$')
end

-- The same for an anti-spam token of this user and action, with only the time when it was issued (ms, a text). Its JWT has its own expiry,
-- rounded up to the second; the key lives to the millisecond.
local function read_anti_spam(stored, spent, user, action, expires_s)
  local code, owner, own_action, _, issued = read_token(stored, spent)
  if code == TOKEN_UNKNOWN and now_ms > (expires_s - 1) * 1000 then
    return TOKEN_EXPIRED
  elseif code ~= OK then
    return code
  elseif owner ~= user then
    return TOKEN_FOREIGN
  end
  return own_action == action and OK or TOKEN_UNKNOWN, issued
end

local function write_token(token_key, user, action, session, points, result, expires_ms)
  redis.call('SET', token_key, user .. ' ' .. action .. ' ' .. session .. ' ' .. now_text .. ' ' .. points .. ' ' .. result, 'PXAT', int(expires_ms))
end

-- Marks a token as redeemed. The mark outlives the token by a second.
local function spend(token_key, spent_key, expires_ms)
  redis.call('DEL', token_key)
  redis.call('SET', spent_key, '1', 'PXAT', int(expires_ms + 1000))
end
