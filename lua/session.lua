-- A user's live game session.
--
-- KEYS  1 session:<userId>
-- ARGV  none
-- Reply { code, … }
--       OK: + { session id, current token (empty after a failed proof), started, expires (ms), awards in it }
-- Needs lib/reply, lib/clock, lib/session.

local session, code = read_session(KEYS[1])
if code ~= OK then
  return { code }
end
return { OK, session.id, session.token, int(session.started), int(session.expires), session.actions }
