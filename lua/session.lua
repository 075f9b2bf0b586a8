-- Reads a user's live game session.
--
-- Keys       session  session:<userId>
-- Arguments  none
-- Reply      { code, … }
--            OK: + SESSION_FIELDS (token empty after a failed proof, times in ms, actions: awards so far)
-- Needs lib/reply, lib/clock, lib/session.

local code, id, expires_ms, actions, token, started_at_ms = read_session(session_key, 'token', 'started')
if code ~= OK then
  return { code }
end
token = token or ''
local expires_at_ms = int(expires_ms)
return { OK, SESSION_FIELDS }
