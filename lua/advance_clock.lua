-- Raises a shard's HLC to a time that has passed, so that every later award is behind it even if Redis' clock is set back.
--
-- Keys       shard_state   shard:state
--            outbox        outbox
-- Arguments  passed_us     the time (µs)
--            latest        newest state of the shard that the caller has seen, see lib/epoch
-- Reply      { 1, or 0 if the shard is closed or its clock is before the time; id of the newest entry in the outbox, empty if it has none }
-- Needs lib/clock, lib/epoch.

local state = read_open(shard_state_key, latest, 'hlc_us')
if not state or now_us < passed_us then
  return { 0, '' }
end
local newest = redis.call('XREVRANGE', outbox_key, '+', '-', 'COUNT', 1)[1]
if (tonumber(state[3]) or 0) < passed_us then
  redis.call('HSET', shard_state_key, 'hlc_us', int(passed_us))
end
return { 1, newest and newest[1] or '' }
