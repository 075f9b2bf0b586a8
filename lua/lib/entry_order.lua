-- The order of a board's entries. A member of the sorted set is its order key, then the user's UUID in 16 bytes. The order key is
-- `[subscore][~time]` or `[~time]`, 8 bytes each, big-endian: a larger one is better. src/store/entries/order.rs writes it.

local TIME_BYTES = 8

-- True if the bytes of `one` are greater. Lua's own `<` compares by the locale.
local function is_greater(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = one:byte(i), other:byte(i)
    if a ~= b then
      return a > b
    end
  end
  return #one > #other
end

-- The subscore of an order key, as bytes; empty on boards without subscores.
local function subscore_of(order)
  return order:sub(1, #order - TIME_BYTES)
end

-- The number of entries that are better than (score, member), whether or not that is an entry.
local function count_better(board, score, member)
  local low = redis.call('ZCOUNT', board, '(' .. score, '+inf')
  local high = low + redis.call('ZCOUNT', board, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_greater(redis.call('ZREVRANGE', board, middle, middle)[1], member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end
