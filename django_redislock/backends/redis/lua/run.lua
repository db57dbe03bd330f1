-- Run the verb, once: it may send turns, which cannot be taken back. So whatever could make it fail
-- on the way is put right before: keys of the wrong type, which cannot be holds or queues of ours,
-- are deleted.

local function look_at_keys()
  redis.call('ZCARD', holds)
  redis.call('HLEN', records)
  redis.call('LLEN', queue)
end

if not pcall(look_at_keys) then
  for key, kind in pairs({[holds] = 'zset', [records] = 'hash', [queue] = 'list'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then
      redis.call('DEL', key)
    end
  end
end
return verb()
