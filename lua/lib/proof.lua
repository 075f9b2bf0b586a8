-- What only Redis can say of a proof: how old the token is, whether an attestation has begun and has not run out, and whether it
-- was used before.

-- What was used once is remembered until a day after it runs out, since the clock may be set back by as much; so nothing that lasts
-- longer is taken.
local LONGEST_PROOF_MS = 31 * DAY_MS

-- When a proof stands, as `least most from until` (ms): how old the token has to be, and when the proof begins and runs out; 0 is
-- any. An empty text is the same as zeros.
local function read_span(text)
  if text == '' then
    return 0, 0, 0, 0
  end
  local min_ms, max_ms, from_ms, until_ms = text:match('^(%S+) (%S+) (%S+) (%S+)$')
  return tonumber(min_ms), tonumber(max_ms), tonumber(from_ms), tonumber(until_ms)
end

-- The keys of what may be used once stand from place `first` of KEYS on.
local function proof_stands(issued_ms, min_ms, max_ms, from_ms, until_ms, first)
  local age_ms = now_ms - tonumber(issued_ms)
  if age_ms < min_ms or (max_ms > 0 and age_ms > max_ms) or now_ms < from_ms then
    return false
  end
  if until_ms > 0 and (now_ms >= until_ms or until_ms - now_ms > LONGEST_PROOF_MS) then
    return false
  end
  for place = first, #KEYS do
    if redis.call('EXISTS', KEYS[place]) == 1 then
      return false
    end
  end
  return true
end

-- Returns what the ledger keeps of it, so that an emptied Redis does not forget: when they run out (ms), and the keys.
local function note_once(until_ms, first)
  for place = first, #KEYS do
    redis.call('SET', KEYS[place], '1', 'PXAT', int(until_ms + DAY_MS))
  end
  return first <= #KEYS and int(until_ms) .. ',' .. table.concat(KEYS, ',', first) or ''
end

-- Notes that a token was spent without an award, so that a copy of Redis from before it is older, too. `last` is the board's moment.
-- Returns the next, for the outbox. An award has one of its own.
local function note_spent(state_key, last)
  local hlc_us = int(next_hlc_us(last))
  redis.call('HSET', state_key, 'hlc_us', hlc_us)
  return hlc_us
end
