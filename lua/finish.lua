-- Ends a user's game session and its token.
--
-- Keys       shard_state  shard:state
--            outbox       outbox
--            session      session:<userId>
--            score        user:score:<userId>
-- Arguments  user         UUID
--            outbox_max   most entries in the outbox
--            event_id     id of this event
-- Reply      { code, … }
--            OK: + { the user's total, awards in the session, ms played }
-- Needs lib/reply, lib/clock, lib/epoch, lib/session, lib/outbox.

if not read_open(shard_state_key) then
  return { BOARD_CLOSED }
end
local code, session_id, expires_ms, actions, started = read_session(session_key, 'started')
if code ~= OK then
  return { code }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL }
end
redis.call('DEL', session_key)
write_outbox(outbox_key, {
  kind = 'ended', id = event_id, user = user, session = session_id, actions = actions,
  issued = started, expires = int(expires_ms),
})
-- The clock may have been set back since the session started.
local played_ms = math.max(0, now_ms - tonumber(started))
return { OK, redis.call('GET', score_key) or '0', actions, int(played_ms) }
