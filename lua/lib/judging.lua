-- A proof that a webhook judges takes two runs of one script. The first run (verdict `?`) makes all checks and reserves the token:
-- `judging:<tokenId>`, a STRING with the reservation's id. The node asks the webhook, and the second run awards or spends.
--
-- Rule for both runs: no refusal that leaves the token may depend on the proof, neither in its answer nor in a counter, a span, its timing,
-- or whether a webhook is called. Otherwise one token would be enough to try every answer.
--   * The first run does not get the proof, so its refusals come before a webhook is called.
--   * One request at a time has a token's reservation. The others get JUDGING, whatever their proof.
--   * In the second run a failed proof spends the token, even where a check refuses that passed in the first run.
-- Without a second run (the webhook gave no answer, a node died) the token stays, and `release.lua` or the expiry ends the
-- reservation.

local NOT_JUDGED = '?'

-- Reads `id ttl_ms`; nil where the node judged the proof without a webhook.
local function read_reservation(text)
  if not text then
    return nil
  end
  local id, ttl_ms = text:match('^(%S+) (%d+)$')
  return { id = id, ttl_ms = ttl_ms }
end

-- The last step of a first run. Returns false if another request has the token's reservation.
local function reserve(judging_key, reservation)
  return redis.call('SET', judging_key, reservation.id, 'NX', 'PX', reservation.ttl_ms) ~= false
end

-- Ends a reservation. Returns false if it had expired; another request may have the token's next one.
local function end_reservation(judging_key, reservation)
  if redis.call('GET', judging_key) ~= reservation.id then
    return false
  end
  redis.call('DEL', judging_key)
  return true
end
