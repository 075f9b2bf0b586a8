-- Ends the reservation of a token whose proof nobody judged: the token stays, and can be tried again at once.
--
-- KEYS  1 judging:<tokenId>
-- ARGV  1 the reservation, as lib/judging reads it
-- Reply { 1 if it was there, else 0 }
-- Needs lib/reply, lib/judging.

return { end_reservation(KEYS[1], read_reservation(ARGV[1])) and 1 or 0 }
