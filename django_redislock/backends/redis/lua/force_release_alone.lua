-- End the only hold of a name, for which nobody waits, and tell its process.
--
-- KEYS, ARGV and what it returns as in force_release.lua

local who, _, record = hold_alone()
if who == token then
  redis.call('DEL', alone)
  redis.call('ZREM', index, token .. ' ' .. name)
  tell(string.match(record, '^%d+ %d+ %d+ %d+ (%S+)'), 'lost', token, name)
  return 1
elseif who then
  return 0
end
