-- Acquire a name that is free and has no queue: the common case, in as few commands as possible.
--
-- KEYS, ARGV and the reply as in acquire.lua

local lease = ARGV[2]

-- Expired holds leave their entries in the index. About every thirtieth grant sweeps some of them,
-- more than can have been added since the last sweep.
local function sweep()
  if now % 32 ~= 0 then
    return
  end
  for _, set in ipairs({index, waited}) do
    local over = redis.pcall('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', '0', '99')
    for _, member in ipairs(over) do
      redis.call('ZREM', set, member)
    end
    redis.pcall('ZREMRANGEBYSCORE', set, now + LONGEST, '+inf')
  end
end

if not line and redis.call('EXISTS', hold, holds, records) == 0 then
  local last = redis.pcall('SET', counter, micros, 'GET')
  if not last or (#last == #micros and last < micros) then
    redis.call('SET', hold, token .. ' 000 ' .. millis .. ' ' .. lease .. ' ' .. micros .. ' '
      .. millis .. ' ' .. millis .. ' ' .. terms, 'PX', lease)
    -- If the index is not a sorted set, the slow path finds the hold written above and repairs it.
    if redis.pcall('ZADD', index, now + lease, token .. ' ' .. name) == 1 then
      sweep()
      return micros
    end
  elseif type(last) == 'string' then
    -- The clock is behind the counter, or the counter is damaged: put back what next_fence() reads.
    redis.call('SET', counter, last)
  end
end
