-- Makes Redis hold what the ledger says of a user: banned or not, set aside or not. The same call twice changes nothing more.
--
-- KEYS  1 leaderboard:<board>   2 leaderboard:<board>:state   3 leaderboard:<board>:top   4 leaderboard:<board>:throttle
--       5 outbox   6 user:score:<userId>   7 ban:<userId>   8 quarantine:<userId>   9 banned
-- ARGV  1 user id   2 banned (1 or 0)   3 set aside (1 or 0)   4 id of the event that confirms held points
--       5 channel of the board (empty where this is one shard of several)   6 least ms between publications   7 channel of the user   8 most entries in the outbox
--       9 points that the ledger holds back: what is shown of somebody who is set aside is without them, where Redis does not know it
--       10 latest epoch and moment that the caller knows (see lib/epoch)
--       11… candidates for the ten `score moment userId number username`, the user's own among them
-- Reply { code, … }
--       OK: + { ms until a flush is due (0: none; -1: `gather` is), 1 if the ten are whole, else 0 }
-- Needs lib/reply, lib/clock, lib/epoch, lib/board, lib/merge, lib/outbox.

local board_key, state_key, top_key, throttle_key, outbox_key, score_key, ban_key, quarantine_key, banned_key = unpack(KEYS)
local user, banned, quarantined = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
local FIRST_CANDIDATE = 11

local state = read_open(state_key, ARGV[10], 'hlc_us')
if not state then
  return { BOARD_CLOSED }
end
local own = redis.call('GET', score_key) or '0'
local quarantined_score = redis.call('GET', quarantine_key)
local approves = quarantined_score and not quarantined
if approves and redis.call('XLEN', outbox_key) >= tonumber(ARGV[8]) then
  return { OUTBOX_FULL }
end
local hlc_us = next_hlc_us(state[3])

-- The last check is done: only writes from here on.
local shown = own
if quarantined then
  shown = quarantined_score or int(math.max(0, tonumber(own) - tonumber(ARGV[9])))
end
if quarantined and not quarantined_score then
  redis.call('SET', quarantine_key, shown)
elseif approves then
  redis.call('DEL', quarantine_key)
  write_outbox(outbox_key, { kind = 'approved', id = ARGV[4], user = user, hlc_us = int(hlc_us) })
end
if banned then
  redis.call('SET', ban_key, '1')
  redis.call('ZADD', banned_key, 'NX', int(now_ms), user)
  redis.call('ZREM', board_key, user)
  redis.call('PUBLISH', ARGV[7], 'banned')
else
  redis.call('DEL', ban_key)
  redis.call('ZREM', banned_key, user)
  if tonumber(shown) > 0 then
    redis.call('ZADD', board_key, shown, user)
  end
end
local top = merge(board_key, top_key, FIRST_CANDIDATE)
return { OK, renew(board_key, state_key, top_key, throttle_key, top, hlc_us, ARGV[5], ARGV[6]) }
