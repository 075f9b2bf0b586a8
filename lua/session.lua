-- Reads a user's live game session.
--
-- Keys       session  session:<userId>
-- Arguments  none
-- Reply      { code, … }
--            OK: + SESSION_FIELDS (token empty after a failed proof, times in ms, actions: awards so far)
-- Needs lib/reply, lib/clock, lib/session.

local session, code = read_session(session_key)
if code ~= OK then
  return { code }
end
local id, token, actions = session.id, session.token, session.actions
local started_at_ms, expires_at_ms = int(session.started), int(session.expires)
return { OK, SESSION_FIELDS }
