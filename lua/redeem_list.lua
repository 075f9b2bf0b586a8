-- Redeems a list of tokens, of any users, one after the other. Each is judged on its own. The function costs a tenth of an award, so a token
-- that is alone is redeemed by redeem.lua.
--
-- Locals     redeem_one       a function with the text of redeem.lua: takes the first and last index of the token's keys and arguments
--            shard_state_key  from here on what the tokens share, as redeem.lua declares it
--            hlc              HLC of the last award, in µs
--            state            this and the next two: nil to be read again
--            outbox_length    length of the outbox
--            board            state of the board
-- Keys       What redeem.lua shares, then those of each token.
-- Arguments  What redeem.lua shares, then those of each token; last a text with two bytes for each token: how many keys and how many
--            arguments it has
-- Reply      For each token the reply of redeem.lua, or a list with the text of an error. An error of all is the error of the script.

-- The awards leave the shard's HLC to the list.
local function note_hlc()
  if state and hlc > tonumber(state[3] or 0) then
    redis.call('HSET', shard_state_key, 'hlc_us', int(hlc))
  end
end

local replies, failures, first_error = {}, 0, nil
local counts, first_key, first_arg = ARGV[#ARGV], FIRST_KEY, FIRST_ARG
for at = 1, #counts, 2 do
  local last_key, last_arg = first_key + counts:byte(at) - 1, first_arg + counts:byte(at + 1) - 1
  local is_done, answer = pcall(redeem_one, first_key, last_key, first_arg, last_arg)
  if not is_done then
    failures, first_error = failures + 1, first_error or answer
    -- It may have failed between a write and its note.
    note_hlc()
    state, outbox_length, board = nil, nil, nil
    answer = { type(answer) == 'table' and answer.err or answer }
  end
  replies[#replies + 1] = answer
  first_key, first_arg = last_key + 1, last_arg + 1
end
note_hlc()
if 2 * failures == #counts then
  error(first_error, 0)
end
return replies
