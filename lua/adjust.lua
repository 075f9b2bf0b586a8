-- Changes a user's total for an admin: adds or removes points, or voids the held points of a quarantined user.
-- The same event runs once; a repeat returns the first totals.
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
--            once                 once:<event id>
-- Arguments  user                 UUID
--            number               the user's serial number
--            username             name on the board
--            event_id             id of the ledger entry
--            points               points to add, negative to remove; empty: void the held points
--            note                 actor and reason as JSON
--            board_channel        channel of the board; empty: this is one of several shards
--            publish_interval_ms  least time between two publications
--            user_channel         channel of the user; empty: this is one of several shards
--            outbox_max           most entries in the outbox
--            latest               newest epoch and HLC that the node has seen, see lib/epoch
--            candidates           board entries that may enter the top list
-- Reply      { code, … }
--            OK: + ADJUSTED_FIELDS (hlc_us 0: a repeat; rank in this shard, 0: no points, -1: no update is due), ms until a flush is
--                due (0: none; -1: the merged board must take this shard), 1 if the top list is complete, else 0
-- Needs lib/reply, lib/clock, lib/epoch, lib/entry, lib/board, lib/merge, lib/personal_update, lib/outbox.

local LARGEST_SCORE = 9007199254740991

local state = read_open(shard_state_key, latest, 'hlc_us')
if not state then
  return { BOARD_CLOSED }
end
if redis.call('XLEN', outbox_key) >= outbox_max then
  return { OUTBOX_FULL }
end
local first_totals = redis.call('GET', once_key)
if first_totals then
  local before, after = first_totals:match('^(%d+) (%d+)$')
  local hlc_us, rank = '0', -1
  return { OK, ADJUSTED_FIELDS, 0, 1 }
end
local shown_score = redis.call('GET', quarantine_key)
local voids = points == ''
-- The shown score of a quarantined user stays the same until an admin approves or voids.
if voids ~= (shown_score ~= false) then
  return { QUARANTINED }
end
local before = redis.call('GET', score_key) or '0'
local score = voids and tonumber(shown_score) or tonumber(before) + tonumber(points)
if score < 0 or score > LARGEST_SCORE then
  return { SCORE_FULL }
end

-- All checks have passed; only writes follow.
local after, hlc = int(score), next_hlc(state[3])
local change, hlc_us = int(score - tonumber(before)), int(hlc)
redis.call('SET', once_key, before .. ' ' .. after, 'PX', DAY_MS)
local is_banned = redis.call('EXISTS', ban_key) == 1
if score > 0 then
  redis.call('SET', score_key, after)
else
  redis.call('DEL', score_key)
end
write_outbox(outbox_key, {
  kind = voids and 'voided' or 'adjusted', id = event_id, user = user, action = voids and 'void' or 'adjust',
  points = change, before = before, after = after, hlc_us = hlc_us, proof = note,
})
if voids then
  redis.call('DEL', quarantine_key)
end
if voids or is_banned then
  redis.call('HSET', shard_state_key, 'hlc_us', hlc_us)
  local rank = -1
  return { OK, ADJUSTED_FIELDS, 0, 1 }
end
-- Remove the user first: an older entry of theirs may have the new score and must not take another user's position.
redis.call('ZREM', board_key, user)
local top = merge(board_key, top_key, CANDIDATES_FROM)
local others_are_complete = top_is_complete(board_key, top)
if score > 0 then
  redis.call('ZADD', board_key, after, user)
end
-- While another user is missing, that user may have reached this score earlier. Then the node refills the list once the ledger
-- has both.
if score > 0 and others_are_complete then
  top = place(top, write_entry(after, hlc_us, user, number .. ' ' .. username), user, score)
end
local rank = score > 0 and redis.call('ZCOUNT', board_key, '(' .. after, '+inf') + 1 or 0
if user_channel ~= '' then
  publish_update(user_channel, after, rank, 0, change, hlc_us)
end
return {
  OK, ADJUSTED_FIELDS,
  renew(board_key, shard_state_key, board_state_key, top_key, throttle_key, top, hlc, board_channel, publish_interval_ms),
}
