-- A single-use token: a STRING `userId action sessionId issuedAtMs points`, `-` for what it is not bound to. An anti-spam
-- token is bound to its action, a game token to its session, a proven token to both (to a session if there was one) and to
-- the points that its proof was worth. Beside it `spent:<tokenId>`: `1` once it was redeemed; for a proven token `0` from the
-- start, so that one that ran out can be told from one that never was.

local function read_token(token_key, spent_key)
  local kept = redis.call('GET', token_key)
  if not kept then
    local spent = redis.call('GET', spent_key)
    return nil, spent == '1' and TOKEN_USED or spent == '0' and TOKEN_EXPIRED or TOKEN_UNKNOWN
  end
  local owner, action, session, issued_ms, points = kept:match('^(%S+) (%S+) (%S+) (%d+) (%S+)$')
  return { owner = owner, action = action, session = session, issued = issued_ms, points = points }, OK
end

-- The code for an anti-spam token that is bound to this user and this action. Its JWT says itself when it runs out, rounded
-- up to the second; the key lives to the millisecond.
local function read_anti_spam(token_key, spent_key, user, action, expires_s)
  local token, code = read_token(token_key, spent_key)
  if not token then
    return nil, code == TOKEN_UNKNOWN and now_ms > (expires_s - 1) * 1000 and TOKEN_EXPIRED or code
  end
  if token.owner ~= user then
    return nil, TOKEN_FOREIGN
  end
  return token, token.action == action and OK or TOKEN_UNKNOWN
end

local function write_token(token_key, user, action, session, points, expires_ms)
  redis.call('SET', token_key, table.concat({ user, action, session, now_text, points }, ' '), 'PXAT', int(expires_ms))
end

-- Redeemed: the tombstone stays a second longer than the token would have.
local function spend(token_key, spent_key, expires_ms)
  redis.call('DEL', token_key)
  redis.call('SET', spent_key, '1', 'PXAT', int(expires_ms + 1000))
end
