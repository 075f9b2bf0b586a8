-- Reads a window of a board's entries, and the entries of some users.
--
-- Keys       board         leaderboard:{<board>}:<period>, or that of one value of a tag
--            entries       …:entries
--            results       …:results
--            state         leaderboard:{<board>}:<period>:state
-- Arguments  split         `@<value>`, or empty
--            order_bytes   length of an order key, see lib/entry_order
--            ranking       `competition`, `dense` or `ordinal`
--            place         where the window is: `at` a position from 0, `around` a user, `after` or `before` an entry
--            place_value   the position, the user's 16 bytes, or the entry's score
--            place_member  the entry's member; used by `after` and `before`
--            limit         most entries of the window
--            top           best entries to add before the window
--            users         users whose entries are wanted, 16 bytes each
-- Reply      { now (ms), as_of_ms (0: the period is not loaded), version, seq (-1: it is to be loaded), entries on the board, best entries above the window, entries
--            of the window, entries of the users, then for each: its member, score, position, rank and the text in …:entries }
-- Needs lib/clock, lib/entry_order.

local total = redis.call('ZCARD', board_key)
local as_of_ms, version, seq = unpack(redis.call('HMGET', state_key, 'as_of_ms', 'version' .. split, 'seq'))

local function rank_of(score, order, position)
  if ranking == 'ordinal' then
    return position
  elseif ranking == 'dense' then
    -- 0 if the result is missing, which `laurel verify` reports.
    return (redis.call('ZREVRANK', results_key, score .. ':' .. subscore_of(order)) or -1) + 1
  elseif order_bytes == TIME_BYTES then
    return redis.call('ZCOUNT', board_key, '(' .. score, '+inf') + 1
  end
  return count_better(board_key, score, subscore_of(order) .. string.rep('\255', TIME_BYTES + 16)) + 1
end

-- The member and score of a user's entry; nil if there is none.
local function find(user)
  local text = redis.call('HGET', entries_key, user)
  local member = text and text:sub(1, order_bytes) .. user
  local score = member and redis.call('ZSCORE', board_key, member)
  return score and member, score
end

local function window()
  if place == 'at' then
    return tonumber(place_value), limit
  elseif place == 'around' then
    local member = find(place_value)
    if not member then
      return 0, 0
    end
    local own = redis.call('ZREVRANK', board_key, member)
    return math.max(0, math.min(own - math.floor((limit - 1) / 2), total - limit)), limit
  end
  local better = count_better(board_key, place_value, place_member)
  if place == 'after' then
    local is_there = redis.call('ZSCORE', board_key, place_member) == place_value
    return better + (is_there and 1 or 0), limit
  end
  local first = math.max(0, better - limit)
  return first, better - first
end

local reply = { now_text, as_of_ms or '0', version or '0', seq or '-1', total, 0, 0, 0 }
local function add(member, score, position, rank)
  local user = member:sub(order_bytes + 1)
  for _, value in ipairs({ member, score, position, rank, redis.call('HGET', entries_key, user) or '' }) do
    reply[#reply + 1] = value
  end
end

-- Adds the entries at `count` positions from `first` on. Only the first one's rank is looked up.
local function add_range(first, count)
  if count <= 0 then
    return 0
  end
  local found = redis.call('ZREVRANGE', board_key, first, first + count - 1, 'WITHSCORES')
  local last_result, rank
  for i = 1, #found, 2 do
    local member, score = found[i], found[i + 1]
    local order, position = member:sub(1, order_bytes), first + (i + 1) / 2
    local result = score .. ':' .. subscore_of(order)
    if not rank then
      rank = rank_of(score, order, position)
    elseif ranking == 'ordinal' or result ~= last_result then
      rank = ranking == 'dense' and rank + 1 or position
    end
    last_result = result
    add(member, score, position, rank)
  end
  return #found / 2
end

local first, count = window()
if count > 0 then
  reply[6] = add_range(0, math.min(top, first))
  reply[7] = add_range(first, count)
end
for i = USERS_FROM, #ARGV do
  local member, score = find(ARGV[i])
  if member then
    local position = redis.call('ZREVRANK', board_key, member) + 1
    add(member, score, position, rank_of(score, member:sub(1, order_bytes), position))
    reply[8] = reply[8] + 1
  end
end
return reply
