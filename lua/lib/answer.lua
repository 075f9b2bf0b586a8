-- The first answer under an idempotency key, stored in a LIST: digest of the request, reply code, then the rest of the reply. A repeat
-- of the request gets it unchanged, so a script looks for it before every other check.

-- Returns nil if no answer is stored; false if the key came with another request; else the first answer's code and its rest.
local function first_answer(answer_key, request_digest)
  local first = redis.call('LRANGE', answer_key, 0, -1)
  if not first[1] then
    return nil
  end
  if first[1] ~= request_digest then
    return false
  end
  return tonumber(first[2]), { unpack(first, 3) }
end

local function keep_first_answer(answer_key, request_digest, ttl_ms, code, rest)
  redis.call('RPUSH', answer_key, request_digest, code, unpack(rest))
  redis.call('PEXPIRE', answer_key, ttl_ms)
end
