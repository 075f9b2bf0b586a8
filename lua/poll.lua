-- Reads what each node polls once a second: the board if it is newer, whether awards are accepted, and new bans.
--
-- Keys       shard_state    shard:state
--            board_state    leaderboard:<board>:state
--            top            leaderboard:<board>:top
--            outbox         outbox
--            banned         banned
-- Arguments  known_version  board version that the node holds
--            bans_since_ms  return the bans since then
-- Reply      POLL_FIELDS, the user ids of new bans…, the top list… (only if newer than known_version)
-- Needs lib/clock, lib/epoch.

local shard = redis.call('HMGET', shard_state_key, 'epoch', 'hlc_us', 'loader', 'loaded')
local board = redis.call('HMGET', board_state_key, 'short', 'version', 'published')
local board_version = tonumber(board[2]) or 0
local bans = redis.call('ZRANGEBYSCORE', banned_key, bans_since_ms, '+inf')

local open = read_open(shard_state_key) and 1 or 0
-- -1: none, 0: an epoch without a number.
local epoch = shard[1] and (tonumber(shard[1]) or 0) or -1
local run, hlc_us = run_id(), shard[2] or '0'
-- Also 1 after a load that was cut short.
local loading, loaded = shard[3] and 1 or 0, shard[4] or '0'
local top_is_complete = board[1] == '1' and 0 or 1
local outbox, at_ms = redis.call('XLEN', outbox_key), now_ms
local version, published = int(board_version), board[3] or '0'
local new_bans = #bans

local reply = { POLL_FIELDS }
for _, user in ipairs(bans) do
  reply[#reply + 1] = user
end
if board_version > known_version then
  for _, entry in ipairs(redis.call('LRANGE', top_key, 0, -1)) do
    reply[#reply + 1] = entry
  end
end
return reply
