-- Release the only hold of a name that has no queue: the common case.
--
-- KEYS, ARGV and the reply as in release.lua

local line = redis.pcall('GET', hold)
-- Two flags: whether the name has waiters, and whether this is an unconfirmed hand-over. An error
-- has no length.
local flags = line and #line > 0 and string.sub(line, 1, #token) == token
  and string.sub(line, #token + 1, #token + 3)
if flags == ' 00' then
  redis.call('DEL', hold)
  redis.pcall('ZREM', index, token .. ' ' .. name)
  return 1
end
