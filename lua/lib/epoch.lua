-- The gate of a board. Its state names the epoch in which a node found that this Redis holds what the ledger holds, and the
-- run that it looked at: Redis' run_id, which is another one after every start and on every replica. So a Redis that was
-- restarted, failed over to, emptied, or replaced by an older copy is closed until it was compared with the ledger.

local function run_id()
  return redis.call('INFO', 'server'):match('run_id:(%w+)')
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
