-- Who holds a name for which nobody waits. It changes nothing.
--
-- KEYS, ARGV and what it returns as in inspect.lua

local who, expires, record = hold_alone()
if who then
  return {now, {who, tonumber(expires), record}, {}}
end
