-- End the token's hold and hand the name over.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua
--       2 the calling process, which delivers the turns in the reply to its waiters
-- Returns 1 if there is nothing else to report; else a text: "1", or "0" if the token no longer
--         held the name, then for each waiter of that process that got its turn: token, fence, end
--         of the lease (ms)

here = ARGV[2]
asking = here

-- `line` is the value under `hold`, which release_fast.lua has read.
local function verb()
  find_holds(line)
  local mine = hold_of(token)
  if mine then
    forget(token)
  end
  pass_on()
  table.insert(turns, 1, mine and 1 or 0)
  return table.concat(turns, ' ')
end
