-- Ends a user's game session, and its tokens with it.
--
-- KEYS  1 leaderboard:<board>:state   2 outbox   3 session:<userId>   4 user:score:<userId>
-- ARGV  1 user id   2 most entries in the outbox   3 id of this event
-- Reply { code, … }
--       OK: + { the user's total, awards in the session, ms played }
-- Needs lib/reply, lib/clock, lib/epoch, lib/session, lib/outbox.

if not read_open(KEYS[1]) then
  return { BOARD_CLOSED }
end
local session, code = read_session(KEYS[3])
if code ~= OK then
  return { code }
end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[2]) then
  return { OUTBOX_FULL }
end
redis.call('DEL', KEYS[3])
write_outbox(KEYS[2], {
  kind = 'ended', id = ARGV[3], user = ARGV[1], session = session.id, actions = int(session.actions),
  issued = int(session.started), expires = int(session.expires),
})
-- The clock may have been set back since.
return { OK, redis.call('GET', KEYS[4]) or '0', session.actions, int(math.max(0, now_ms - session.started)) }
