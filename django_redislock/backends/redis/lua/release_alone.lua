-- Release the only hold of a name for which nobody waits: the common case.
--
-- KEYS and ARGV as in release.lua
-- Returns 1, or 0 if the token did not hold the name any more

line = redis.call('GET', alone)
if line then
  if string.sub(line, 1, #token + 1) ~= token .. ' ' then
    return 0
  end
  redis.call('DEL', alone)
  redis.call('ZREM', index, token .. ' ' .. name)
  return 1
end
