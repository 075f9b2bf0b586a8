-- What only Redis can check of a proof: the age of the token, whether an attestation is valid now, and whether it was used before.

-- An attestation is remembered until a day after it expires, since the clock may be set back by a day. One that lasts longer than this is
-- refused.
local LONGEST_PROOF_MS = 31 * DAY_MS

-- Reads `min_age_ms max_age_ms from_ms until_ms`: how old the token must be, and when the proof is valid; 0 is any, empty or nil four
-- zeros.
local function read_span(text)
  if not text or text == '' then
    return 0, 0, 0, 0
  end
  local min_age_ms, max_age_ms, from_ms, until_ms = text:match('^(%S+) (%S+) (%S+) (%S+)$')
  return tonumber(min_age_ms), tonumber(max_age_ms), tonumber(from_ms), tonumber(until_ms)
end

-- The keys of what may be used once are those from `first` to `last` in KEYS.
local function proof_stands(issued_ms, min_age_ms, max_age_ms, from_ms, until_ms, first, last)
  local age_ms = now_ms - tonumber(issued_ms)
  if age_ms < min_age_ms or (max_age_ms > 0 and age_ms > max_age_ms) or now_ms < from_ms then
    return false
  end
  if until_ms > 0 and (now_ms >= until_ms or until_ms - now_ms > LONGEST_PROOF_MS) then
    return false
  end
  for i = first, last do
    if redis.call('EXISTS', KEYS[i]) == 1 then
      return false
    end
  end
  return true
end

-- The result of an award (see lib/outbox), with the age of its token where the node wrote `?`: the proof measures the time.
local function complete_result(result, issued_ms)
  return result ~= '' and result:gsub('%?', int(now_ms - tonumber(issued_ms))) or result
end

-- Marks what may be used once as used. Returns what the ledger stores of it, so that an emptied Redis does not forget: when it expires (ms),
-- and the keys.
local function note_once(until_ms, first, last)
  for i = first, last do
    redis.call('SET', KEYS[i], '1', 'PXAT', int(until_ms + DAY_MS))
  end
  return first <= last and int(until_ms) .. ',' .. table.concat(KEYS, ',', first, last) or ''
end

-- Moves the shard's HLC for a token that was spent without an award, so that a copy of Redis from before it is behind. An award moves it
-- itself. Returns the new HLC for the outbox entry.
local function note_spent(shard_state_key, last_hlc_us)
  local hlc_us = int(next_hlc(last_hlc_us))
  redis.call('HSET', shard_state_key, 'hlc_us', hlc_us)
  return hlc_us
end
