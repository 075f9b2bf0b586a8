-- Redis' clock is the one clock for tokens, sessions and limits; nodes may drift.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = math.floor(now_us / 1000)
local DAY_MS = 86400000

-- Lua's numbers are doubles: exact for integers to 2^53, but tostring would round them to 14 digits. And writing
-- out a double costs Redis three times as much as writing out an integer does, in redis.call too.
local function int(number)
  return string.format('%d', number)
end

local now_text = int(now_ms)

-- A moment after the last one: by the clock, or a µs later where that stood still or went back.
local function next_hlc_us(last)
  return math.max(now_us, (tonumber(last) or 0) + 1)
end
