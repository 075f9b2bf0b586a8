-- The ten after something else than an award: users were loaded, left or came back, or a score went down. The ledger's
-- candidates, from place `first` of ARGV on, stand in for those who were not among the ten.

-- The ten best of entries `text`, `score`, `moment`: whoever reached a score first stands before the others.
local function best_top(entries)
  table.sort(entries, function(a, b)
    if a.score ~= b.score then
      return a.score > b.score
    end
    if a.hlc_us ~= b.hlc_us then
      return a.hlc_us < b.hlc_us
    end
    return a.text < b.text
  end)
  local top = {}
  for i = 1, math.min(TOP_SIZE, #entries) do
    top[i] = entries[i].text
  end
  return top
end

-- The ten of those who are in it and the candidates. Whoever does not have the score that an entry says is passed over: an
-- award has moved on meanwhile, and it has placed that user itself. Of two entries of one score and moment the later counts: it has the
-- name as the ledger has it, which may be another than when the user was placed.
local function merge(board_key, top_key, first)
  local entries, seen = {}, {}
  local function consider(entry)
    local score, hlc_us, user = entry:match('^(%d+) (%d+) (%S+)')
    local known = seen[user]
    if known then
      if known.score == tonumber(score) and known.hlc_us == tonumber(hlc_us) then
        known.text = entry
      end
    elseif tonumber(redis.call('ZSCORE', board_key, user) or -1) == tonumber(score) then
      seen[user] = { text = entry, score = tonumber(score), hlc_us = tonumber(hlc_us) }
      entries[#entries + 1] = seen[user]
    end
  end
  for _, entry in ipairs(redis.call('LRANGE', top_key, 0, -1)) do
    consider(entry)
  end
  for i = first, #ARGV do
    consider(ARGV[i])
  end
  return best_top(entries)
end

-- 1 if these are the ten best scores of the board; 0 if somebody is missing whose newest award the ledger did not have yet.
local function is_whole(board_key, top)
  local best = redis.call('ZREVRANGE', board_key, 0, TOP_SIZE - 1, 'WITHSCORES')
  for i = 1, #best / 2 do
    if not top[i] or tonumber(top[i]:match('^%d+')) ~= tonumber(best[2 * i]) then
      return 0
    end
  end
  return 1
end

-- Takes the new ten, if they are others than before. Returns the ms until a flush is due (0: none), and whether they are
-- whole; while they are not, `short` says so, and nodes look for who is missing.
local function renew(board_key, state_key, top_key, throttle_key, top, hlc_us, channel, window_ms)
  local whole = is_whole(board_key, top)
  redis.call('HSET', state_key, 'hlc_us', int(hlc_us), 'floor', floor_of(board_key, top), 'short', 1 - whole)
  if table.concat(top, '\n') == table.concat(redis.call('LRANGE', top_key, 0, -1), '\n') then
    return 0, whole
  end
  write_top(board_key, top_key, state_key, top, hlc_us)
  return publish(top, state_key, throttle_key, channel, hlc_us, window_ms), whole
end
