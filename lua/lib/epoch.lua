-- The gate of a board. Its state names the epoch in which a node found that this Redis holds what the ledger holds, and the
-- run that it looked at: Redis' run_id, which is another one after every start and on every replica. So a Redis that was
-- restarted, failed over to, emptied, or replaced by an older copy is closed until it was compared with the ledger.

-- RUN stands ahead of this: nil, or the run that the script is bound to. INFO costs as much as the half of an award, so nodes bind
-- what they call often: a script with a run's name in it is loaded into that run alone, on a connection that was asked which run it
-- is; and no run keeps, or is told by another, what scripts that one was given. So whoever has it is that run (src/store/binding.rs).
local function run_id()
  return RUN or redis.call('INFO', 'server'):match('run_id:(%w+)')
end

-- The state's `epoch`, `run` and the fields that are named, in this order; nil while the board is closed, or where the caller
-- has seen a later epoch already: then this Redis was left behind.
local function read_open(state_key, least_epoch, ...)
  local state = redis.call('HMGET', state_key, 'epoch', 'run', ...)
  local epoch = tonumber(state[1])
  if not epoch or epoch < least_epoch or state[2] ~= run_id() then
    return nil
  end
  return state
end
