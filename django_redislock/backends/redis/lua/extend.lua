-- Renew the token's lease.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua    2 lease (ms)    3 1 if this must not shorten the lease
--       4 1 if the hold is detached from its handle
-- Returns the lease (ms) that is left now, or 0 if the token does not hold the name

local function verb()
  find_holds()
  local mine = hold_of(token)
  if not mine or only then
    return 0
  end
  local lease, flags = renewed(mine)
  -- First, for a server without free memory, as in extend_fast.lua.
  redis.call('PEXPIRE', holds, math.max(redis.call('PTTL', holds), lease + GRACE))
  if not mine.damaged then
    redis.call('HSET', records, token,
      write_record(flags, lease, mine.fence, mine.since, mine.began, mine.terms))
  end
  redis.call('ZADD', holds, now + lease, token)
  put(index, now + lease, token .. ' ' .. name)
  keep(records, lease, GRACE)
  return lease
end
