-- Gives a node some of the requests that a visitor has left in a window that all nodes share, for it to serve without asking
-- again. Near the end of the window's room leases are small, so that little of it lies unused on one node.
--
-- KEYS  one rate:requests* key
-- ARGV  requests allowed (at least 1), window (ms), requests wanted (at least 1)
-- Reply { requests granted, requests granted to all nodes so far, ms until the window closes }
-- Needs lib/rate.

local limit, window_ms, wanted = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local used = tonumber(redis.call('GET', KEYS[1]) or 0)
local left = limit - used
if left <= 0 then
  return { 0, used, window_left_ms(KEYS[1], window_ms) }
end
local granted = math.min(wanted, math.ceil(left / 4))
redis.call('INCRBY', KEYS[1], granted)
if used == 0 then
  redis.call('PEXPIRE', KEYS[1], window_ms)
end
return { granted, used + granted, window_left_ms(KEYS[1], window_ms) }
