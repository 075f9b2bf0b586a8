-- A single-use token: a STRING `userId action sessionId issuedAtMs points result`, with `-` for what it is not bound to. An anti-spam token
-- is bound to its action, a game token to its session, a proven token to both (to a session if there was one) and to the points and the
-- result (see lib/outbox) that its proof was worth. `spent:<tokenId>` is `1` once the token was redeemed. For a proven token it is `0` from
-- the start, so that an expired token differs from one that never was.

-- Takes the values of `token:<tokenId>` and `spent:<tokenId>`. Returns the token or nil, and a reply code.
local function read_token(stored, spent)
  if not stored then
    return nil, spent == '1' and TOKEN_USED or spent == '0' and TOKEN_EXPIRED or TOKEN_UNKNOWN
  end
  local owner, action, session, issued_ms, points, result = stored:match('^(%S+) (%S+) (%S+) (%d+) (%S+) (%S+)$')
  return { owner = owner, action = action, session = session, issued = issued_ms, points = points, result = result }, OK
end

-- The same for an anti-spam token of this user and action. Its JWT has its own expiry, rounded up to the second; the key lives to the
-- millisecond.
local function read_anti_spam(stored, spent, user, action, expires_s)
  local token, code = read_token(stored, spent)
  if not token then
    return nil, code == TOKEN_UNKNOWN and now_ms > (expires_s - 1) * 1000 and TOKEN_EXPIRED or code
  end
  if token.owner ~= user then
    return nil, TOKEN_FOREIGN
  end
  return token, token.action == action and OK or TOKEN_UNKNOWN
end

local function write_token(token_key, user, action, session, points, result, expires_ms)
  redis.call('SET', token_key, table.concat({ user, action, session, now_text, points, result }, ' '), 'PXAT', int(expires_ms))
end

-- Marks a token as redeemed. The mark outlives the token by a second.
local function spend(token_key, spent_key, expires_ms)
  redis.call('DEL', token_key)
  redis.call('SET', spent_key, '1', 'PXAT', int(expires_ms + 1000))
end
