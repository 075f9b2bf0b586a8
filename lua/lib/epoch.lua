-- The gate of a board. Its state names the epoch in which a node found that this Redis holds what the ledger holds, and the
-- run that it looked at: Redis' run_id, which is another one after every start and on every replica, and its replication id, which is
-- another one once it was a replica meanwhile, and took over another one's data. So a Redis that was restarted, failed over to, emptied, or
-- replaced by an older copy is closed until it was compared with the ledger.

-- RUN stands ahead of this: nil, or the run that the script is bound to. INFO costs as much as the half of an award, so nodes bind
-- what they call often: a script with a run's name in it is loaded into that run alone, on a connection that was asked which run it
-- is; and no process keeps, or is told by another, what scripts that one was given. So whoever has it is that process
-- (src/store/connection/binding.rs). Its replication id may be another by now: nodes look at it once a second, and what a reply, or such a look, has
-- shown of the board's moment, a Redis that is behind it refuses at once.
local function read_run_id()
  return redis.call('INFO', 'server'):match('run_id:(%w+)') .. redis.call('INFO', 'replication'):match('master_replid:(%w+)')
end

local function run_id()
  return RUN or read_run_id()
end

-- The state's `epoch`, `run` and the fields that are named, in this order; nil while the board is closed, or where the caller has
-- seen more: `least` is `epoch moment`, the newest that it knows, the moment in 16 digits, or nil. Whoever gives it names `moment` as
-- the first field. A board in an earlier epoch was left behind; one that is at an earlier moment of the same epoch has lost what came
-- after it.
local function read_open(state_key, least, ...)
  local state = redis.call('HMGET', state_key, 'epoch', 'run', ...)
  if not state[1] or state[2] ~= run_id() then
    return nil
  end
  if not least then
    return state
  end
  -- Texts of equal length compare like the numbers in them, and a moment has 16 digits until 2286. Reading four numbers out of texts
  -- costs more than the rest of this function.
  local hlc_us = state[3] or '0'
  local here = state[1] .. ' ' .. hlc_us
  if #hlc_us == 16 and #here == #least and here >= least then
    return state
  end
  local epoch, least_epoch, min_hlc_us = tonumber(state[1]), least:match('^(%d+) (%d+)$')
  least_epoch = tonumber(least_epoch)
  local is_behind = epoch < least_epoch or (epoch == least_epoch and tonumber(hlc_us) < tonumber(min_hlc_us))
  return not is_behind and state or nil
end
