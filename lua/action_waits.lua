-- How long a user has to wait before each of some actions may be started again.
--
-- KEYS  limit:<userId>:<action> of each action
-- ARGV  the limits of each action, in the same order (see lib/limits)
-- Reply { ms to wait (0: none), … }
-- Needs lib/clock, lib/limits.

local waits = {}
for index, key in ipairs(KEYS) do
  waits[index] = action_wait_ms(key, read_limits(ARGV[index]))
end
return waits
