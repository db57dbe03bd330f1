-- Run the verb; and once more if a key of the name is of another type than it should be. What is
-- there is no hold and no queue of ours, and is deleted.

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
