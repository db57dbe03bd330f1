-- Release the only hold of a name for which nobody waits: the common case.
--
-- KEYS, ARGV and what it returns as in release.lua

local expires = redis.call('ZSCORE', holds, token)
if not expires then
  return 0
end
if redis.call('ZCARD', holds) == 1 and redis.call('EXISTS', queue) == 0 then
  redis.call('ZREM', index, token .. ' ' .. name)
  redis.call('DEL', holds, records)
  return tonumber(expires) > now and 1 or 0
end
