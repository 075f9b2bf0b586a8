-- Returns how long a user must wait before each of several actions may start again.
--
-- Keys       limit_keys   limit:<userId>:<action> of each action
-- Arguments  limits       the limits of each action in the same order, see lib/limits
-- Reply      wait in ms for each action (0: none)
-- Needs lib/clock, lib/limits.

local waits = {}
for i, key in ipairs(KEYS) do
  waits[i] = action_wait_ms(key, read_limits(ARGV[i]))
end
return waits
