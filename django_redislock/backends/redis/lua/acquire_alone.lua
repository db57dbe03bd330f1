-- Acquire a name that is free, with nobody before us: the common case, in as few calls as it can be.
--
-- KEYS, ARGV and what it returns as in acquire.lua

if redis.call('EXISTS', holds, queue, KEYS[6]) == 0 then
  local limit, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
  local fence, expires = next_number(), now + lease
  redis.call('HSET', records, 'lowest limit', limit, token,
    pack(fence, now, limit, lease, ARGV[7], 0, ARGV[8]))
  redis.call('ZADD', holds, expires, token)
  redis.call('ZADD', index, expires, token .. ' ' .. name)
  redis.call('PEXPIRE', holds, lease + GRACE)
  redis.call('PEXPIRE', records, lease + GRACE)
  -- Holds that ended by themselves leave their entries in the index: now and then some are swept,
  -- more than could have come since.
  if fence % 16 == 0 then
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 64)) do
      redis.call('ZREM', index, entry)
    end
  end
  return {fence, expires, now}
end
