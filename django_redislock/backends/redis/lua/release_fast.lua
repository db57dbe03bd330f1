-- Release the only hold of a name that has no queue: the common case.
--
-- KEYS, ARGV and the reply as in release.lua

local line = redis.pcall('GET', hold)
-- The token and the first flag, which says whether the name has waiters. An error has no length.
local start = line and #line > 0 and string.sub(line, 1, #token + 2)
if start == token .. ' 0' then
  redis.call('DEL', hold)
  redis.pcall('ZREM', index, token .. ' ' .. name)
  return 1
end
