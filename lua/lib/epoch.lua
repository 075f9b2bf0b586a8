-- The gate of a board. Its state names the epoch in which a node found that this Redis holds what the ledger holds, and the
-- run that it looked at: Redis' run_id, which is another one after every start and on every replica, and its replication id, which is
-- another one once it was a replica meanwhile, and took over another one's data. So a Redis that was restarted, failed over to, emptied, or
-- replaced by an older copy is closed until it was compared with the ledger.

-- RUN stands ahead of this: nil, or the run that the script is bound to. INFO costs as much as the half of an award, so nodes bind
-- what they call often: a script with a run's name in it is loaded into that run alone, on a connection that was asked which run it
-- is; and no process keeps, or is told by another, what scripts that one was given. So whoever has it is that process
-- (src/store/binding.rs). Its replication id may be another by now: nodes look at it once a second, and what a reply, or such a look, has
-- shown of the board's moment, a Redis that is behind it refuses at once.
local function read_run_id()
  return redis.call('INFO', 'server'):match('run_id:(%w+)') .. redis.call('INFO', 'replication'):match('master_replid:(%w+)')
end

local function run_id()
  return RUN or read_run_id()
end

-- Whether a board is in an earlier epoch than `least` says, or at an earlier moment of the same. Texts that are equally long compare like
-- the numbers in them, and moments have 16 digits until 2286; to read four numbers out of texts costs more than the rest of the gate.
local function is_behind(epoch, moment, least)
  local here = epoch .. ' ' .. moment
  if #moment == 16 and #here == #least and here >= least then
    return false
  end
  local least_epoch, least_moment = least:match('^(%d+) (%d+)$')
  epoch, least_epoch = tonumber(epoch), tonumber(least_epoch)
  return epoch < least_epoch or (epoch == least_epoch and tonumber(moment) < tonumber(least_moment))
end

-- The state's `epoch`, `run` and the fields that are named, in this order; nil while the board is closed, or where the caller has
-- seen more: `least` is `epoch moment`, the newest that it knows, the moment in 16 digits, or nil. Whoever gives it names `moment` as
-- the first field. A board in an earlier epoch was left behind; one that is at an earlier moment of the same epoch has lost what came
-- after it.
local function read_open(state_key, least, ...)
  local state = redis.call('HMGET', state_key, 'epoch', 'run', ...)
  if not state[1] or state[2] ~= run_id() or (least and is_behind(state[1], state[3] or '0', least)) then
    return nil
  end
  return state
end

-- Notes that a token was spent without an award, so that a copy of Redis from before it is older, too. `last` is the board's moment.
-- Returns the next, for the outbox. An award has one of its own.
local function note_spent(state_key, last)
  local moment = int(next_moment(last))
  redis.call('HSET', state_key, 'moment', moment)
  return moment
end
