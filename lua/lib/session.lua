-- A user's game session: a HASH `id`, `token` (the one that can be redeemed next; none after a failed proof), `started` and
-- `expires` (ms), `actions` (awards in it). It is kept an hour beyond its end, so that "expired" can be told from "none".

local SESSION_MEMORY_MS = 3600000

-- The session as a table, or nil, and the reply's code if it cannot be played.
local function read_session(key)
  local kept = redis.call('HMGET', key, 'id', 'token', 'started', 'expires', 'actions')
  if not kept[1] then
    return nil, NO_SESSION
  end
  local session = {
    id = kept[1], token = kept[2] or '', started = tonumber(kept[3]), expires = tonumber(kept[4]),
    actions = tonumber(kept[5]),
  }
  if now_ms >= session.expires then
    return session, TOKEN_EXPIRED
  end
  return session, OK
end
