-- Run the verb. If it fails, delete keys of the wrong type, which cannot be holds or queues of
-- ours, and run it once more.

local done, reply = pcall(verb)
if done then
  return reply
end
for key, kind in pairs({[holds] = 'zset', [records] = 'hash', [queue] = 'list', [waited] = 'zset',
    [index] = 'zset'}) do
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
  end
end
return verb()
