-- Applies ledger entries to one period of a board. Each batch counts once: it is refused unless the period stands at the sequence number
-- where the batch begins.
--
-- Keys       board         leaderboard:{<board>}:<period>; with @<value> appended, the board of one value of the tag that it is split by
--            state         leaderboard:{<board>}:<period>:state
-- Arguments  from_seq      sequence number of the ledger at which the batch begins
--            to_seq        sequence number at which the period stands afterwards
--            as_of_ms      everything redeemed until then is counted; 0: as before
--            aggregate     `sum`, `best` or `latest`
--            order_bytes   length of an order key, see lib/entry_order
--            is_dense      1: ranks are dense, so distinct results are counted
--            is_total      1: an entry with the score 0 is removed, as on `global`
--            max_attempts  awards that count for a player; 0: any number
--            top           entries of which a change is pushed to subscribers
--            floor         the version must be above this
--            channel       channel of the board, without a tag's value
--            period        id of the period
--            changes       for each change: `@<value>` or empty, `+` (an award), `=` (the result) or `-` (no entry, on the boards of all values), the user's 16 bytes,
--                          score, order key, awards counted so far (`=` only), username
-- Reply      { sequence number at which the period stands; -1: it is not loaded }
-- Needs lib/clock, lib/entry_order.

local LARGEST_SCORE = 9007199254740991
local CHANGE_WORDS = 7

local stands_at = redis.call('HGET', state_key, 'seq')
if stands_at ~= from_seq then
  return { stands_at or '-1' }
end

-- All checks have passed; only writes follow.

-- Counts the entries with one result, for dense ranks.
local function count_result(board, score, order, change)
  local result = score .. ':' .. subscore_of(order)
  local count = redis.call('HINCRBY', board .. ':result_counts', result, change)
  if count == 0 then
    redis.call('HDEL', board .. ':result_counts', result)
    redis.call('ZREM', board .. ':results', result)
  elseif count == 1 and change == 1 then
    redis.call('ZADD', board .. ':results', score, result)
  end
end

local function remove(board, user, known)
  redis.call('ZREM', board, known.order .. user)
  redis.call('HDEL', board .. ':entries', user)
  if is_dense == 1 then
    count_result(board, known.score, known.order, -1)
  end
end

local function put(board, user, known, entry)
  if known and (known.order ~= entry.order or known.score ~= entry.score) then
    redis.call('ZREM', board, known.order .. user)
  end
  redis.call('ZADD', board, entry.score, entry.order .. user)
  local attempts = max_attempts > 0 and struct.pack('>I4', entry.attempts) or ''
  redis.call('HSET', board .. ':entries', user, entry.order .. attempts .. entry.name)
  if is_dense == 1 then
    if known then
      count_result(board, known.score, known.order, -1)
    end
    count_result(board, entry.score, entry.order, 1)
  end
end

local function find(board, user)
  local text = redis.call('HGET', board .. ':entries', user)
  if not text then
    return nil
  end
  local order = text:sub(1, order_bytes)
  local attempts = max_attempts > 0 and struct.unpack('>I4', text, order_bytes + 1) or 0
  return { order = order, attempts = attempts, score = redis.call('ZSCORE', board, order .. user) }
end

-- The entry after one more award; nil if the award does not count.
local function add_award(known, award)
  if not known then
    award.attempts = 1
    return award
  end
  if max_attempts > 0 and known.attempts >= max_attempts then
    return nil
  end
  award.attempts = known.attempts + 1
  local old_score, new_score = tonumber(known.score), tonumber(award.score)
  if aggregate == 'sum' then
    -- An award that changes nothing does not make the player late.
    award.order = new_score == 0 and known.order or award.order
    award.score = int(math.max(-LARGEST_SCORE, math.min(LARGEST_SCORE, old_score + new_score)))
  elseif aggregate == 'best' and (new_score < old_score
      or new_score == old_score and not is_greater(subscore_of(award.order), subscore_of(known.order))) then
    award.score, award.order = known.score, known.order
  end
  return award
end

local function top_of(board)
  return table.concat(redis.call('ZREVRANGE', board, 0, top - 1, 'WITHSCORES'), '\n')
end

local tops, users = {}, {}

-- Notes the top of a board before its first change.
local function begin(split)
  if not tops[split] then
    tops[split], users[split] = top_of(board_key .. split), {}
  end
end

local function change_entry(split, kind, user, entry)
  begin(split)
  local board = board_key .. split
  local known = find(board, user)
  if kind == '+' then
    entry = add_award(known, entry)
  end
  if entry and is_total == 1 and entry.score == '0' then
    if known then
      remove(board, user, known)
      table.insert(users[split], user)
    end
  elseif entry then
    put(board, user, known, entry)
    if not (known and known.score == entry.score and known.order == entry.order) then
      table.insert(users[split], user)
    end
  end
end

local function remove_everywhere(user)
  for _, field in ipairs(redis.call('HKEYS', state_key)) do
    local split = field:match('^version(.*)$')
    local known = split and find(board_key .. split, user)
    if known then
      begin(split)
      remove(board_key .. split, user, known)
      table.insert(users[split], user)
    end
  end
end

for i = CHANGES_FROM, #ARGV, CHANGE_WORDS do
  local split, kind, user, score, order, attempts, name = unpack(ARGV, i, i + CHANGE_WORDS - 1)
  if kind == '-' then
    remove_everywhere(user)
  else
    change_entry(split, kind, user, { score = score, order = order, attempts = tonumber(attempts), name = name })
  end
end

redis.call('HSET', state_key, 'seq', to_seq)
if as_of_ms ~= '0' then
  redis.call('HSET', state_key, 'as_of_ms', as_of_ms)
end
for split, before in pairs(tops) do
  if #users[split] > 0 then
    local field = 'version' .. split
    local version = int(math.max(now_us, floor + 1, (tonumber(redis.call('HGET', state_key, field)) or 0) + 1))
    redis.call('HSET', state_key, field, version)
    local is_top_changed = before ~= top_of(board_key .. split)
    redis.call('PUBLISH', channel .. split,
      period .. ' ' .. version .. ' ' .. (is_top_changed and '1' or '0') .. ' ' .. table.concat(users[split]))
  end
end
return { to_seq }
