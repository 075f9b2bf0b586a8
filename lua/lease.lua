-- Leases requests of a rate-limit window to one node, which then serves them without asking Redis. Leases get smaller as the window
-- fills, so that little of it lies unused on one node.
--
-- Keys       rate       rate:requests:* or rate:requests-from:*
-- Arguments  limit      requests allowed per window (at least 1)
--            window_ms  length of the window
--            wanted     requests that the node wants (at least 1)
-- Reply      { requests granted, requests granted to all nodes so far, ms until the window closes }
-- Needs lib/rate.

local used = tonumber(redis.call('GET', rate_key) or 0)
local left = limit - used
if left <= 0 then
  return { 0, used, window_left_ms(rate_key, window_ms) }
end
local granted = math.min(wanted, math.ceil(left / 4))
redis.call('INCRBY', rate_key, granted)
if used == 0 then
  redis.call('PEXPIRE', rate_key, window_ms)
end
return { granted, used + granted, window_left_ms(rate_key, window_ms) }
