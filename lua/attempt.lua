-- Counts one attempt against each of some windows: logins, registrations, and whatever is refused before its own script could
-- count it.
--
-- KEYS  one rate:* key a window
-- ARGV  for each key: attempts allowed (0: any), window (ms)
-- Reply { 1 if allowed by all, else 0; then of the window with the fewest attempts left: allowed, used, ms until it
--         closes, its place among the keys (0: none has a limit) }
-- Needs lib/rate.

local allowed, tightest = 1, { 0, 0, 0, 0 }
local fewest = math.huge
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[2 * i - 1])
  if limit > 0 then
    local used, reset_ms = count_attempt(key, ARGV[2 * i])
    if used > limit then
      allowed = 0
    end
    if limit - used < fewest then
      fewest, tightest = limit - used, { limit, used, reset_ms, i }
    end
  end
end
return { allowed, unpack(tightest) }
