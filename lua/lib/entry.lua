-- One entry of a top list: `score hlc_us userId number username` with single spaces. The username comes last and may have spaces.
-- `BoardEntry` in src/store is the same in Rust.

-- `name` is the number and the username.
local function write_entry(score, hlc_us, user, name)
  return score .. ' ' .. hlc_us .. ' ' .. user .. ' ' .. name
end

-- The score, when it was reached, and the user's UUID, as texts.
local function read_entry(entry)
  return entry:match('^(%d+) (%d+) (%S+)')
end

local function read_score(entry)
  return entry:match('^%d+')
end

-- Every award that changes the list reads ten entries, and each capture costs a new string.
local function read_score_and_user(entry)
  return entry:match('^(%d+) %d+ (%S+)')
end
