-- A user's game session: a HASH with `id`, `token` (the one that can be redeemed next; absent after a failed proof), `started` and
-- `expires` (ms), `actions` (awards so far). It stays an hour after its end, so that "expired" differs from "none".

local SESSION_MEMORY_MS = 3600000

-- Returns the session or nil, and a reply code that is OK if the session is live.
local function read_session(key)
  local stored = redis.call('HMGET', key, 'id', 'token', 'started', 'expires', 'actions')
  if not stored[1] then
    return nil, NO_SESSION
  end
  local session = {
    id = stored[1], token = stored[2] or '', started = tonumber(stored[3]), expires = tonumber(stored[4]),
    actions = tonumber(stored[5] or 0),
  }
  if now_ms >= session.expires then
    return session, TOKEN_EXPIRED
  end
  return session, OK
end
