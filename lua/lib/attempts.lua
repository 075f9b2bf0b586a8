-- Awards that count for a player on boards with `attempts`: HASH `attempts:<userId>`, address of the board → `period awards`. An award is
-- refused if it counts on no other board and all of these are full. Its HLC decides about the period, as it does for the ledger: it
-- only grows, whatever the clock does.
--
-- The rules are JSON from src/ledger/boards/attempts.rs, nil for an action that no such board counts:
--   refuses  whether an award of the action may be refused; else it is only counted
--   periods  `board`, `id`, `from_us`, `until_us`, `attempts` (0: any number), and which awards the period counts: those with a value if
--            `needs_value`, with all `tags`; and once more on the board of their value of the tag `split_by`

-- A period that never ends has no end of the wait.
local LONGEST_WAIT_MS = 365 * DAY_MS

-- Returns the places on which an award counts, with the awards that each has, and whether it surely counts on one of them. Without a result
-- the proof is not verified: then these are all on which an award could count.
local function find_places(key, rules, at_us, result)
  local decoded = result and result ~= '' and cjson.decode(result) or {}
  local own_tags = decoded.tags or {}
  local places, addresses, is_certain = {}, {}, false
  for _, period in ipairs(rules.periods) do
    local counts, depends = at_us >= period.from_us and at_us < period.until_us, period.needs_value
    if result and period.needs_value and not decoded.value then
      counts = false
    end
    for name, value in pairs(period.tags) do
      depends = true
      if result and own_tags[name] ~= value then
        counts = false
      end
    end
    if counts then
      is_certain = is_certain or result ~= nil or not depends
      places[#places + 1] = { period = period, attempts = period.attempts }
      addresses[#places] = period.board
      local value = period.split_by and own_tags[period.split_by]
      if value or (period.split_by and not result) then
        -- Without a result any value may be the award's, so one of their boards may have room.
        places[#places + 1] = { period = period, attempts = value and period.attempts or 0 }
        addresses[#places] = period.board .. '@' .. (value or '')
      end
    end
  end
  for i, stored in ipairs(#places > 0 and redis.call('HMGET', key, unpack(addresses)) or {}) do
    local period, awards = (stored or ''):match('^(%S+) (%d+)$')
    places[i].address = addresses[i]
    places[i].awards = period == places[i].period.id and tonumber(awards) or 0
  end
  return places, is_certain
end

-- Returns the ms until one of the boards has room again (0: now). Where the proof is not verified, only a wait that no proof would change:
-- otherwise a refusal that leaves the token would depend on the proof.
local function attempts_wait_ms(key, rules, at_us, result)
  if not rules.refuses then
    return 0
  end
  local places, is_certain = find_places(key, rules, at_us, result)
  local wait_ms = is_certain and LONGEST_WAIT_MS or 0
  for _, place in ipairs(places) do
    if place.attempts == 0 or place.awards < place.attempts then
      return 0
    end
    wait_ms = math.min(wait_ms, math.ceil((place.period.until_us - at_us) / 1000))
  end
  return wait_ms
end

-- Counts an award. The hash is kept until a day after its last period.
local function note_attempt(key, rules, at_us, result)
  local left_ms, until_ms = redis.call('PTTL', key), 0
  for _, place in ipairs((find_places(key, rules, at_us, result))) do
    if place.attempts > 0 then
      redis.call('HSET', key, place.address, place.period.id .. ' ' .. int(place.awards + 1))
      until_ms = math.max(until_ms, place.period.until_us / 1000 + DAY_MS)
    end
  end
  if until_ms > now_ms + LONGEST_WAIT_MS then
    redis.call('PERSIST', key)
  elseif until_ms > 0 and left_ms ~= -1 then
    redis.call('PEXPIREAT', key, int(math.max(until_ms, now_ms + left_ms)))
  end
end
