-- Release the only hold of a name that has no queue: the common case.
--
-- KEYS, ARGV and the reply as in release.lua

local line = redis.pcall('GET', hold)
if type(line) == 'string' then
  local mine = token .. ' 0' -- the first flag: nobody waits
  if string.sub(line, 1, #mine) == mine then
    redis.call('DEL', hold)
    redis.pcall('ZREM', index, token .. ' ' .. name)
    return 1
  end
end
