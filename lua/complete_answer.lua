-- Adds the global rank and the merged board to a stored answer whose award ran in one of several shards. The first call decides,
-- so every repeat of the request returns the same answer.
--
-- Keys       answer          answer:<userId>:<digest of the idempotency key>
-- Arguments  request_digest  digest of the request
--            rank            global rank
--            rank_before     global rank before the award (0: none)
--            version         version of the merged board
--            top             its top list
-- Reply      { rank, rank before, version, the top list… } of the stored answer; nothing if it has expired

local answer = redis.call('LRANGE', answer_key, 0, -1)
if answer[1] ~= request_digest then
  return {}
end
if answer[ANSWER.flush_due_ms] == '-1' then
  local left_ms = redis.call('PTTL', answer_key)
  answer[ANSWER.rank], answer[ANSWER.rank_before] = rank, rank_before
  answer[ANSWER.version], answer[ANSWER.flush_due_ms] = version, '0'
  answer = { unpack(answer, 1, ANSWER.top - 1) }
  for i = TOP_FROM, #ARGV do
    answer[#answer + 1] = ARGV[i]
  end
  redis.call('DEL', answer_key)
  redis.call('RPUSH', answer_key, unpack(answer))
  redis.call('PEXPIRE', answer_key, left_ms)
end
return { answer[ANSWER.rank], answer[ANSWER.rank_before], answer[ANSWER.version], unpack(answer, ANSWER.top) }
