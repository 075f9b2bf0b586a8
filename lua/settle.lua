-- Takes entries that Postgres has committed out of the outbox. Only what was written goes; so the stream's length is
-- what Postgres does not have yet.
--
-- KEYS  1 outbox
-- ARGV  1 consumer group   2… ids of the entries
-- Reply { how many entries went }

redis.call('XACK', KEYS[1], unpack(ARGV))
return { redis.call('XDEL', KEYS[1], unpack(ARGV, 2)) }
