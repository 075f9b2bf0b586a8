-- A proof that a webhook judges takes two runs of one script. The first run (verdict `?`) makes all the checks and reserves the
-- token: `judging:<tokenId>`, a STRING with the reservation's id. The node asks the webhook, and the second run awards or spends.
--
-- The rule for both runs: no refusal that leaves the token may depend on the proof, in its answer, in a counter, in a span, in
-- timing, or in whether a webhook is asked. Else one token is enough to try every answer.
--   * The first run knows nothing of the proof, so what it refuses is refused before anybody is asked.
--   * One request at a time has a token's reservation; the others get JUDGING, whatever their proof.
--   * In the second run a proof that failed spends the token, even where a check refuses by now that passed in the first run.
-- If no second run comes (the webhook gave no answer, a node died), the token stays, and the reservation ends by `release.lua` or by
-- itself.

local NOT_JUDGED = '?'

-- A reservation, given as `id` and `ttl (ms)` with a space between; nil where the node judged the proof without a webhook.
local function read_reservation(text)
  if not text then
    return nil
  end
  local id, ttl_ms = text:match('^(%S+) (%d+)$')
  return { id = id, ttl_ms = ttl_ms }
end

-- The last step of a first run. False: another request has the token's reservation.
local function reserve(judging_key, reservation)
  return redis.call('SET', judging_key, reservation.id, 'NX', 'PX', reservation.ttl_ms) ~= false
end

-- Ends a reservation. False: it had ended by itself, and another request may have the token's next one.
local function end_reservation(judging_key, reservation)
  if redis.call('GET', judging_key) ~= reservation.id then
    return false
  end
  redis.call('DEL', judging_key)
  return true
end
