-- Counts one attempt in each of several rate-limit windows: logins, registrations, and requests that are refused before their own
-- script could count them.
--
-- Keys       windows      one rate:* key for each window
-- Arguments  limits       for each key: attempts allowed (0: any number), window (ms)
-- Reply      { 1 if every window allows it, else 0; then of the window with the fewest attempts left: attempts allowed, attempts
--            used, ms until it closes, its position among the keys (0: no window has a limit) }
-- Needs lib/rate.

local is_allowed, tightest = 1, { 0, 0, 0, 0 }
local fewest_left = math.huge
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[2 * i - 1])
  if limit > 0 then
    local used, reset_ms = count_attempt(key, ARGV[2 * i])
    if used > limit then
      is_allowed = 0
    end
    if limit - used < fewest_left then
      fewest_left, tightest = limit - used, { limit, used, reset_ms, i }
    end
  end
end
return { is_allowed, unpack(tightest) }
