-- The top list after another change than an award: users were loaded, left or came back, or a score went down. Candidates from the ledger,
-- from index `first` of ARGV on, fill the places of users who were not in the list.

-- The best of entries `{ text, score, hlc }`. Of two users with one score, the one who reached it first comes first.
local function best_entries(entries)
  table.sort(entries, function(a, b)
    if a.score ~= b.score then
      return a.score > b.score
    end
    if a.hlc ~= b.hlc then
      return a.hlc < b.hlc
    end
    return a.text < b.text
  end)
  local top = {}
  for i = 1, math.min(TOP_SIZE, #entries) do
    top[i] = entries[i].text
  end
  return top
end

-- The best of the present top list and the candidates. Skips an entry whose score is not the user's: an award has changed it since,
-- and has placed the user itself. Of two entries with one score and HLC the later one counts, because it has the name that the ledger
-- has now.
local function merge(board_key, top_key, first)
  local entries, seen = {}, {}
  local function consider(entry)
    local score, hlc, user = read_entry(entry)
    local known = seen[user]
    if known then
      if known.score == tonumber(score) and known.hlc == tonumber(hlc) then
        known.text = entry
      end
    elseif tonumber(redis.call('ZSCORE', board_key, user) or -1) == tonumber(score) then
      seen[user] = { text = entry, score = tonumber(score), hlc = tonumber(hlc) }
      entries[#entries + 1] = seen[user]
    end
  end
  for _, entry in ipairs(redis.call('LRANGE', top_key, 0, -1)) do
    consider(entry)
  end
  for i = first, #ARGV do
    consider(ARGV[i])
  end
  return best_entries(entries)
end

-- Whether the list has the board's best scores. If not, a user is missing whose newest award the ledger did not have yet.
local function top_is_complete(board_key, top)
  local best = redis.call('ZREVRANGE', board_key, 0, TOP_SIZE - 1, 'WITHSCORES')
  for i = 1, #best / 2 do
    if not top[i] or tonumber(read_score(top[i])) ~= tonumber(best[2 * i]) then
      return false
    end
  end
  return true
end

-- Stores and shows the top list if it changed. Returns the ms until a flush is due (see `publish`), and 1 if the list is complete, else 0.
-- While it is not, `short` says so, and nodes refill it.
local function renew(board_key, shard_state_key, board_state_key, top_key, throttle_key, top, hlc, channel, interval_ms)
  local is_complete, floor = top_is_complete(board_key, top) and 1 or 0, floor_of(board_key, top)
  local hlc_us = int(hlc)
  redis.call('HSET', shard_state_key, 'hlc_us', hlc_us)
  if table.concat(top, '\n') == table.concat(redis.call('LRANGE', top_key, 0, -1), '\n') then
    redis.call('HSET', board_state_key, 'floor', floor, 'short', 1 - is_complete)
    return 0, is_complete
  end
  write_top(top_key, top)
  return show(board_state_key, throttle_key, top, hlc_us, channel, interval_ms, 'floor', floor, 'short', 1 - is_complete), is_complete
end
