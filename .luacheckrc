-- Redis runs each script as one text: the parts of lua/lib that it needs, a prologue that names its keys and arguments, the
-- script itself. luacheck sees single files, so it is given the names that come from the rest of that text: the top-level names of
-- lua/lib, and the keys and arguments in the script's header.
std = "lua51"
max_line_length = false
-- RUN is the run of Redis that a script is bound to, ANSWER the positions of a stored answer, last_key the index of a call's last key,
-- FIRST_KEY and FIRST_ARG where the first call of a list begins, IS_IN_LIST whether the text is in the function of a list.
read_globals = { "redis", "cjson", "struct", "RUN", "ANSWER", "KEYS", "ARGV", "last_key", "FIRST_KEY", "FIRST_ARG", "IS_IN_LIST" }

local function paths(pattern)
  return io.popen("ls " .. pattern):lines()
end

local lib_names = {}
for path in paths("lua/lib/*.lua") do
  for line in io.lines(path) do
    local names = line:match("^local function ([%w_]+)") or line:match("^local ([%w_, ]+) =") or ""
    for name in names:gmatch("[%w_]+") do lib_names[#lib_names + 1] = name end
  end
end

for path in paths("lua/*.lua lua/lib/*.lua") do
  local names, is_filled_in = {}, false
  for line in io.lines(path) do
    local name = line:match("^%-%-%s+%u?%l*%s+(%l[%l%d_]*)%s%s")
    if name then
      for _, form in ipairs({ name, name .. "_key", name:upper() .. "_KEYS_FROM", name:upper() .. "_FROM" }) do
        names[#names + 1] = form
      end
    end
    -- Names of fields stand here once the script is assembled, so a local that only they use looks unused.
    for word in line:gmatch("%u+_FIELDS") do names[#names + 1], is_filled_in = word, true end
    for word in line:gmatch("%u+_LINES") do names[#names + 1], is_filled_in = word, true end
    for word in line:gmatch("%u+_WORDS") do names[#names + 1], is_filled_in = word, true end
  end
  local ignore = is_filled_in and { "211", "212", "231", "311" } or {}
  -- 211: a part defines functions for scripts.
  if path:find("lua/lib/") then ignore[#ignore + 1] = "211" end
  files[path] = { read_globals = lib_names, globals = names, ignore = ignore }
end
