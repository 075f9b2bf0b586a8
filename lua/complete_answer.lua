-- Completes the first answer under an idempotency key, where an award was made in one shard of several: the rank among all, and the
-- merged board. Whoever completes it first is right, so that the answer is the same for ever.
--
-- KEYS  1 answer:<userId>:<idempotency key's digest>
-- ARGV  1 digest of the request   2 rank   3 rank before (0: none)   4 version of the merged board   5… its ten
-- Reply { rank, rank before, version, the ten… } as they stand now; nothing if the answer is gone

local first = redis.call('LRANGE', KEYS[1], 0, -1)
if first[1] ~= ARGV[1] then
  return {}
end
-- As `redeem` keeps it: digest, code, score, rank, rank before, points, version, flush due (-1: to be completed), next token, its
-- expiry, receipt, the ten.
if first[8] == '-1' then
  local left_ms = redis.call('PTTL', KEYS[1])
  local whole = { first[1], first[2], first[3], ARGV[2], ARGV[3], first[6], ARGV[4], '0', first[9], first[10], first[11] }
  for i = 5, #ARGV do
    whole[#whole + 1] = ARGV[i]
  end
  redis.call('DEL', KEYS[1])
  redis.call('RPUSH', KEYS[1], unpack(whole))
  redis.call('PEXPIRE', KEYS[1], left_ms)
  first = whole
end
return { first[4], first[5], first[7], unpack(first, 12) }
