-- Holds and queues that expire leave their entries in the sets of the bucket.

-- Remove some of the entries whose time is over: more than can have been added since the last sweep.
local function sweep()
  for _, set in ipairs({index, waited}) do
    local over = redis.pcall('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', '0', '399')
    for _, member in ipairs(over) do
      redis.call('ZREM', set, member)
    end
    redis.pcall('ZREMRANGEBYSCORE', set, now + LONGEST, '+inf')
  end
end
