-- Release the only hold of a name for which nobody waits: the common case.
--
-- KEYS, ARGV and what it returns as in release.lua

line = redis.call('GET', alone)
if line then
  if string.sub(line, 1, #token + 1) ~= token .. ' ' then
    return 0
  end
  redis.call('DEL', alone)
  redis.call('ZREM', index, token .. ' ' .. name)
  return 1
end
