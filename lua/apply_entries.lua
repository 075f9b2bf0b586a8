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
--            changes       for each change four words:
--                            `+` (an award), `=<awards counted so far>` (the result) or `-` (no entry, on the boards of all values); then `@<value>` on
--                            the board of a value
--                            order key and the user's 16 bytes; `-`: these only
--                            score
--                            username
-- Reply      { sequence number at which the period stands; -1: it is not loaded }
-- Needs lib/clock, lib/entry_order.

local LARGEST_SCORE = 9007199254740991
local CHANGE_WORDS = 4
local USER_BYTES = 16
-- Lua passes at most 8000 values to a function. Even, since some commands take pairs.
local CALL_WORDS = 4000

local stands_at = redis.call('HGET', state_key, 'seq')
if stands_at ~= from_seq then
  return { stands_at or '-1' }
end

-- Redis spends more on a command than on one more entry in it. So each board is read in two commands, changed here, and written in four.

local function write_all(command, key, words)
  for i = 1, #words, CALL_WORDS do
    redis.call(command, key, unpack(words, i, math.min(i + CALL_WORDS - 1, #words)))
  end
end

local function read_all(command, key, words)
  local values = {}
  for i = 1, #words, CALL_WORDS do
    for _, value in ipairs(redis.call(command, key, unpack(words, i, math.min(i + CALL_WORDS - 1, #words)))) do
      values[#values + 1] = value
    end
  end
  return values
end

-- Counts the entries with one result, for dense ranks.
local function count_result(board, entry, change)
  local result = entry.score .. ':' .. subscore_of(entry.order)
  local count = redis.call('HINCRBY', board .. ':result_counts', result, change)
  if count == 0 then
    redis.call('HDEL', board .. ':result_counts', result)
    redis.call('ZREM', board .. ':results', result)
  elseif count == 1 and change == 1 then
    redis.call('ZADD', board .. ':results', entry.score, result)
  end
end

-- The text of an entry in the hash `:entries`.
local function text_of(entry)
  return entry.order .. (max_attempts > 0 and struct.pack('>I4', entry.attempts) or '') .. entry.name
end

-- Returns the entries that these users have on a board.
local function read_entries(board, users)
  local entries, owners, members = {}, {}, {}
  for i, text in ipairs(read_all('HMGET', board .. ':entries', users)) do
    if text then
      local order = text:sub(1, order_bytes)
      local attempts = max_attempts > 0 and struct.unpack('>I4', text, order_bytes + 1) or 0
      owners[#owners + 1], members[#members + 1] = users[i], order .. users[i]
      entries[users[i]] = { text = text, order = order, attempts = attempts }
    end
  end
  for i, score in ipairs(read_all('ZMSCORE', board, members)) do
    entries[owners[i]].score = score
  end
  return entries
end

-- The entry after one more award; the known one if the award does not count.
local function add_award(known, award)
  if not known then
    award.attempts = 1
    return award
  end
  if max_attempts > 0 and known.attempts >= max_attempts then
    return known
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

-- The entry after the change at this index of ARGV; nil: there is none.
local function change_entry(known, at)
  local kind, member, score, name = unpack(ARGV, at, at + CHANGE_WORDS - 1)
  if kind:sub(1, 1) == '-' then
    return nil
  end
  local entry = { order = member:sub(1, order_bytes), score = score, name = name }
  if kind:sub(1, 1) == '+' then
    entry = add_award(known, entry)
  else
    entry.attempts = tonumber(kind:match('^=(%d+)'))
  end
  return (is_total == 0 or entry.score ~= '0') and entry or nil
end

local function top_of(board)
  return table.concat(redis.call('ZREVRANGE', board, 0, top - 1, 'WITHSCORES'), '\n')
end

-- Returns what changes of one board write.
local function plan(board, changes)
  local stored, entries = read_entries(board, changes.distinct), {}
  for user, entry in pairs(stored) do
    entries[user] = entry
  end
  for i, user in ipairs(changes.users) do
    entries[user] = change_entry(entries[user], changes[i])
  end
  local writes = {
    stored = stored, entries = entries, top = top_of(board), changed = {}, old_members = {}, new_members = {},
    removed = {}, texts = {},
  }
  for _, user in ipairs(changes.distinct) do
    local old, new = stored[user], entries[user]
    if old and not (new and new.order == old.order) then
      table.insert(writes.old_members, old.order .. user)
    end
    if old and not new then
      table.insert(writes.removed, user)
    end
    if (old or new) and not (old and new and new.order == old.order and new.score == old.score) then
      table.insert(writes.changed, user)
      if new then
        table.insert(writes.new_members, new.score)
        table.insert(writes.new_members, new.order .. user)
      end
    end
    local text = new and new ~= old and text_of(new)
    if text and not (old and old.text == text) then
      table.insert(writes.texts, user)
      table.insert(writes.texts, text)
    end
  end
  return writes
end

local function write(board, writes)
  write_all('ZREM', board, writes.old_members)
  write_all('ZADD', board, writes.new_members)
  write_all('HDEL', board .. ':entries', writes.removed)
  write_all('HSET', board .. ':entries', writes.texts)
  for _, user in ipairs(is_dense == 1 and writes.changed or {}) do
    if writes.stored[user] then
      count_result(board, writes.stored[user], -1)
    end
    if writes.entries[user] then
      count_result(board, writes.entries[user], 1)
    end
  end
end

-- The changes of each board: `@<value>` or empty → indexes in ARGV, `users` of each change, and each user once in `distinct`.
local changes_of, are_all_known = {}, false

local function changes_on(split)
  changes_of[split] = changes_of[split] or { users = {}, distinct = {}, known = {} }
  return changes_of[split]
end

local function note(changes, user, at)
  changes[#changes + 1], changes.users[#changes.users + 1] = at, user
  if not changes.known[user] then
    changes.known[user], changes.distinct[#changes.distinct + 1] = true, user
  end
end

for at = CHANGES_FROM, #ARGV, CHANGE_WORDS do
  local kind, user = ARGV[at], ARGV[at + 1]:sub(-USER_BYTES)
  if kind ~= '-' then
    note(changes_on(kind:match('@.*$') or ''), user, at)
  else
    for _, field in ipairs(are_all_known and {} or redis.call('HKEYS', state_key)) do
      local split = field:match('^version(.*)$')
      if split then
        changes_on(split)
      end
    end
    are_all_known = true
    for _, changes in pairs(changes_of) do
      note(changes, user, at)
    end
  end
end

local plans = {}
for split, changes in pairs(changes_of) do
  plans[split] = plan(board_key .. split, changes)
end

-- Only writes follow.
redis.call('HSET', state_key, 'seq', to_seq)
if as_of_ms ~= '0' then
  redis.call('HSET', state_key, 'as_of_ms', as_of_ms)
end
for split, writes in pairs(plans) do
  local board = board_key .. split
  write(board, writes)
  if #writes.changed > 0 then
    local field = 'version' .. split
    local version = int(math.max(now_us, floor + 1, (tonumber(redis.call('HGET', state_key, field)) or 0) + 1))
    redis.call('HSET', state_key, field, version)
    local is_top_changed = writes.top ~= top_of(board)
    redis.call('PUBLISH', channel .. split,
      period .. ' ' .. version .. ' ' .. (is_top_changed and '1' or '0') .. ' ' .. table.concat(writes.changed))
  end
end
return { to_seq }
