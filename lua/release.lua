-- Ends the reservation of a token whose proof was not judged. The token stays valid and can be tried again at once.
--
-- Keys       judging      judging:<tokenId>
-- Arguments  reservation  the reservation, see lib/judging
-- Reply      { 1 if the reservation was there, else 0 }
-- Needs lib/reply, lib/judging.

return { end_reservation(judging_key, reservation) and 1 or 0 }
