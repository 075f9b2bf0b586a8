-- Redis' clock is the only clock for tokens, sessions and limits. The nodes' clocks may differ.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = math.floor(now_us / 1000)
local DAY_MS = 86400000

-- Lua's numbers are doubles, exact for integers to 2^53, but tostring rounds them to 14 digits. Formatting a double also costs Redis three
-- times as much as formatting an integer, in redis.call too.
local function int(number)
  return string.format('%d', number)
end

local now_text = int(now_ms)

-- The next value of the hybrid logical clock (HLC), in µs: Redis' clock, or 1 µs after the last value where the clock stood still or went
-- back. It only grows.
local function next_hlc(last)
  return math.max(now_us, (tonumber(last) or 0) + 1)
end
