-- Redeems a list of tokens, of any users, one after the other. Each is judged on its own. The function costs a tenth of an award, so a token
-- that is alone is redeemed by redeem.lua.
--
-- Locals     redeem_one           a function with the text of redeem.lua: takes the first and last index of the token's keys and arguments
--            checked_latest       these are what the tokens share, as redeem.lua declares them; nil: to be read again
--            outbox_length        the same
--            board                the same
-- Keys       Those of redeem.lua, of all tokens.
-- Arguments  Those of redeem.lua, of all tokens; then for each the number of its keys and of its arguments; last the number of tokens.
-- Reply      For each token the reply of redeem.lua, or the text of an error. An error of all is the error of the script.

local replies, failures, first_error = {}, 0, nil
local count, first_key, first_arg = tonumber(ARGV[#ARGV]), 1, 1
for at = #ARGV - 2 * count, #ARGV - 2, 2 do
  local last_key, last_arg = first_key + ARGV[at] - 1, first_arg + ARGV[at + 1] - 1
  local is_done, reply = pcall(redeem_one, first_key, last_key, first_arg, last_arg)
  if not is_done then
    failures, first_error = failures + 1, first_error or reply
    -- It may have failed between a write and its note.
    checked_latest, outbox_length, board = nil, nil, nil
    reply = type(reply) == 'table' and reply.err or reply
  end
  replies[#replies + 1] = reply
  first_key, first_arg = last_key + 1, last_arg + 1
end
if failures == count then
  error(first_error, 0)
end
return replies
