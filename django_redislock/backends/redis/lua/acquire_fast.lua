-- Acquire a name that is free and has no queue: the common case, in as few commands as possible.
--
-- KEYS, ARGV and the reply as in acquire.lua

local lease = ARGV[2]
-- Whether a grant sweeps the sets of the bucket. About every hundredth does.
local sweeps = now % 128 == 0

-- The fence of a grant that sweeps, which happens at the end of the script.
local granted

if not line and redis.call('EXISTS', hold, holds, records) == 0 then
  local last = redis.pcall('SET', counter, micros, 'GET')
  if not last or (#last == #micros and last < micros) then
    redis.call('SET', hold, token .. ' 000 ' .. millis .. ' ' .. lease .. ' ' .. micros .. ' '
      .. millis .. ' ' .. millis .. ' ' .. terms, 'PX', lease)
    -- If the index is not a sorted set, the slow path finds the hold written above and repairs it.
    local ends = string.format('%d', now + lease)
    if redis.pcall('ZADD', index, ends, token .. ' ' .. name) == 1 then
      if not sweeps then
        return micros
      end
      granted = micros
    end
  elseif type(last) == 'string' then
    -- The clock is behind the counter, or the counter is damaged: put back what next_fence() reads.
    redis.call('SET', counter, last)
  end
end
