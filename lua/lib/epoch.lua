-- Whether a shard accepts awards. A HASH has the shard's state:
--   epoch    number of the last time that this Redis was found to hold what the ledger holds; it only grows
--   run      the run of Redis in which that was
--   loader   id of the load from the ledger that fills the shard, while it is closed for that
--   loaded   users that the last load has loaded so far
--   hlc_us   HLC of the last award, spent token or changed total, in µs. The ledger and every node know the newest that they have
--            seen, so a shard that is behind it is an older copy
-- A run is Redis' run_id followed by its replication id. The run_id changes with every start and differs on every replica; the replication
-- id changes when a replica took over another server's data. So a Redis that was restarted, failed over to, emptied or replaced by an
-- older copy stays closed until it was compared with the ledger.

-- The line `local RUN = …` comes first in every script: nil, or the run that the script is bound to. INFO costs half as much as an award,
-- so a node binds the scripts that it calls often: it loads them, with the run in their text, over a connection that queried the run.
-- Redis 7 neither persists nor replicates its script cache. If EVALSHA finds the script, this process is that run; any other process
-- answers NOSCRIPT (src/store/connection/binding.rs). The replication id may have changed since: nodes poll it once a second, and refuse a
-- Redis whose HLC is behind the newest that they have seen.
local function read_run_id()
  return redis.call('INFO', 'server'):match('run_id:(%w+)') .. redis.call('INFO', 'replication'):match('master_replid:(%w+)')
end

local function run_id()
  return RUN or read_run_id()
end

-- Returns the state's `epoch`, `run` and the named fields, in this order; nil while the shard is closed, or behind `latest`, which is
-- `epoch hlc_us` with the HLC in 16 digits, or nil. A caller that passes it names `hlc_us` as the first field. A shard in an earlier epoch
-- was left behind; one at an earlier HLC of the same epoch has lost what came after it.
local function read_open(shard_state_key, latest, ...)
  local state = redis.call('HMGET', shard_state_key, 'epoch', 'run', ...)
  if not state[1] or state[2] ~= run_id() then
    return nil
  end
  if not latest then
    return state
  end
  -- Texts of equal length compare like the numbers in them, and an HLC has 16 digits until 2286. Converting four numbers costs more than
  -- the rest of this function.
  local hlc_us = state[3] or '0'
  local here = state[1] .. ' ' .. hlc_us
  if #hlc_us == 16 and #here == #latest and here >= latest then
    return state
  end
  local epoch, latest_epoch, latest_hlc_us = tonumber(state[1]), latest:match('^(%d+) (%d+)$')
  latest_epoch = tonumber(latest_epoch)
  local is_behind = epoch < latest_epoch or (epoch == latest_epoch and tonumber(hlc_us) < tonumber(latest_hlc_us))
  return not is_behind and state or nil
end
