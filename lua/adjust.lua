-- An operator's change of a total, as an event of its own: by some points up or down, or the held points of somebody who was
-- set aside taken away.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:top   4 leaderboard:<board>:throttle
--       5 outbox   6 user:score:<userId>   7 ban:<userId>   8 quarantine:<userId>   9 once:<event id>
-- ARGV  1 user id   2 user number   3 username   4 event id   5 points, below 0 to take away (empty: void what is held)
--       6 who and why, as JSON   7 channel of the board   8 least ms between publications   9 channel of the user (7 and 9 are empty
--       where this is one shard of several)
--       10 most entries in the outbox   11 latest epoch and moment that the caller knows (see lib/epoch)
--       12… candidates for the ten `score moment userId number username`
-- Reply { code, … }; the same event twice is done once, and answered again
--       OK: + { total before, total after, moment (0: it was done before), rank in this shard (0: no points; -1: nobody
--           is told), ms until a flush is due (0: none; -1: `gather` is),
--           1 if the ten are whole, else 0 }
-- Needs lib/reply, lib/clock, lib/epoch, lib/board, lib/merge, lib/outbox.

local board_key, state_key, top_key, throttle_key, outbox_key, score_key, ban_key, quarantine_key, once_key =
  unpack(KEYS)
local user, number, username, event_id, points, note = unpack(ARGV, 1, 6)
local FIRST_CANDIDATE = 12
local LARGEST_SCORE = 9007199254740991

local state = read_open(state_key, ARGV[11], 'hlc_us')
if not state then
  return { BOARD_CLOSED }
end
if redis.call('XLEN', outbox_key) >= tonumber(ARGV[10]) then
  return { OUTBOX_FULL }
end
local done = redis.call('GET', once_key)
if done then
  local before, after = done:match('^(%d+) (%d+)$')
  return { OK, before, after, '0', -1, 0, 1 }
end
local quarantined_score = redis.call('GET', quarantine_key)
local voids = points == ''
-- What is shown of somebody who was set aside stays as it is until that is confirmed or voided.
if voids ~= (quarantined_score ~= false) then
  return { QUARANTINED }
end
local before = redis.call('GET', score_key) or '0'
local score = voids and tonumber(quarantined_score) or tonumber(before) + tonumber(points)
if score < 0 or score > LARGEST_SCORE then
  return { SCORE_FULL }
end

-- The last check is done: only writes from here on.
local after, hlc_us = int(score), next_hlc_us(state[3])
redis.call('SET', once_key, before .. ' ' .. after, 'PX', DAY_MS)
local shown = redis.call('EXISTS', ban_key) == 0
if score > 0 then
  redis.call('SET', score_key, after)
else
  redis.call('DEL', score_key)
end
write_outbox(outbox_key, {
  kind = voids and 'voided' or 'adjusted', id = event_id, user = user, action = voids and 'void' or 'adjust',
  points = int(score - tonumber(before)), before = before, after = after, hlc_us = int(hlc_us), proof = note,
})
if voids then
  redis.call('DEL', quarantine_key)
end
if voids or not shown then
  redis.call('HSET', state_key, 'hlc_us', int(hlc_us))
  return { OK, before, after, int(hlc_us), -1, 0, 1 }
end
-- The others first: an older entry of the user's own, which may have the new score, must take nobody's place.
redis.call('ZREM', board_key, user)
local top = merge(board_key, top_key, FIRST_CANDIDATE)
local others_whole = is_whole(board_key, top) == 1
if score > 0 then
  redis.call('ZADD', board_key, after, user)
end
-- Somebody whom the ledger does not have yet may have reached as much before; then the caller looks again until it has.
if score > 0 and others_whole then
  top = place(top, table.concat({ after, int(hlc_us), user, number, username }, ' '), user, score)
end
local rank = score > 0 and redis.call('ZCOUNT', board_key, '(' .. after, '+inf') + 1 or 0
if ARGV[9] ~= '' then
  redis.call('PUBLISH', ARGV[9], table.concat({ after, rank, 0, int(score - tonumber(before)), int(hlc_us) }, ' '))
end
return {
  OK, before, after, int(hlc_us), rank, renew(board_key, state_key, top_key, throttle_key, top, hlc_us, ARGV[7], ARGV[8]),
}
