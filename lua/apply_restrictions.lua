-- Makes Redis agree with what the ledger says about a user: banned or not, quarantined or not. A repeat changes nothing more.
--
-- Keys       board                leaderboard:<board>
--            shard_state          shard:state
--            board_state          leaderboard:<board>:state
--            top                  leaderboard:<board>:top
--            throttle             leaderboard:<board>:throttle
--            outbox               outbox
--            score                user:score:<userId>
--            ban                  ban:<userId>
--            quarantine           quarantine:<userId>
--            banned               banned
-- Arguments  user                 UUID
--            is_banned            1 or 0
--            is_quarantined       1 or 0
--            event_id             id of the event that approves held points
--            board_channel        channel of the board; empty: this is one of several shards
--            publish_interval_ms  least time between two publications
--            user_channel         channel of the user
--            outbox_max           most entries in the outbox
--            held                 points that the ledger holds back: the shown score is without them, where Redis has no shown score
--            latest               newest epoch and HLC that the node has seen, see lib/epoch
--            candidates           board entries that may enter the top list, the user's own among them
-- Reply      { code, … }
--            OK: + { ms until a flush is due (0: none; -1: the merged board must take this shard), 1 if the top list is complete, else 0 }
-- Needs lib/reply, lib/clock, lib/epoch, lib/entry, lib/board, lib/merge, lib/outbox.

local state = read_open(shard_state_key, latest, 'hlc_us')
if not state then
  return { BOARD_CLOSED }
end
local total = redis.call('GET', score_key) or '0'
local shown_score = redis.call('GET', quarantine_key)
local approves = shown_score and is_quarantined == '0'
if approves and redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL }
end
local hlc = next_hlc(state[3])

-- All checks have passed; only writes follow.
local score = total
if is_quarantined == '1' then
  score = shown_score or int(math.max(0, tonumber(total) - held))
end
if is_quarantined == '1' and not shown_score then
  redis.call('SET', quarantine_key, score)
elseif approves then
  redis.call('DEL', quarantine_key)
  write_outbox(outbox_key, { kind = 'approved', id = event_id, user = user, hlc_us = int(hlc) })
end
if is_banned == '1' then
  redis.call('SET', ban_key, '1')
  redis.call('ZADD', banned_key, 'NX', int(now_ms), user)
  redis.call('ZREM', board_key, user)
  redis.call('PUBLISH', user_channel, 'banned')
else
  redis.call('DEL', ban_key)
  redis.call('ZREM', banned_key, user)
  if tonumber(score) > 0 then
    redis.call('ZADD', board_key, score, user)
  end
end
local top = merge(board_key, top_key, CANDIDATES_FROM)
return {
  OK,
  renew(board_key, shard_state_key, board_state_key, top_key, throttle_key, top, hlc, board_channel, publish_interval_ms),
}
