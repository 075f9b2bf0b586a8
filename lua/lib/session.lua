-- A user's game session: a HASH with `id`, `token` (the one that can be redeemed next; absent after a failed proof), `started` and
-- `expires` (ms), `actions` (awards so far). It stays an hour after its end, so that "expired" differs from "none".

local SESSION_MEMORY_MS = 3600000

-- Returns a reply code that is OK if the session is live; if there is one also its id, when it expires (ms), the awards so far, and the
-- values of further fields.
local function read_session(key, ...)
  local stored = redis.call('HMGET', key, 'id', 'expires', 'actions', ...)
  local expires_ms = tonumber(stored[2])
  if not expires_ms then
    return NO_SESSION
  end
  return now_ms < expires_ms and OK or TOKEN_EXPIRED, stored[1], expires_ms, stored[3] or '0', unpack(stored, 4)
end
