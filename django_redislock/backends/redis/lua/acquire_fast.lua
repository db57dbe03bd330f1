-- Acquire a name that is free and has no queue: the common case, in as few commands as possible.
--
-- KEYS, ARGV and the reply as in acquire.lua

local cancelled = KEYS[8]
local line, refused = false, false
-- Whoever is ready to wait has most likely found the name busy.
if ARGV[5] ~= '0' then
  line, refused = unpack(redis.call('MGET', hold, cancelled))
end
if not line and not refused and redis.call('EXISTS', hold, holds, queue, cancelled) == 0 then
  local fence, lease = next_fence(), ARGV[4]
  redis.call('SET', hold, token .. ' 000 ' .. millis .. ' ' .. lease .. ' ' .. fence .. ' '
    .. millis .. ' ' .. millis .. ' ' .. ARGV[6], 'PX', lease)
  put(index, now + lease, token .. ' ' .. name)
  -- Holds that ended by themselves leave their entries in the index: about every tenth time some
  -- are swept, more than can have been added since.
  if string.byte(fence, -1) == 48 then
    for _, set in ipairs({index, waited}) do
      for _, member in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, 64)) do
        redis.call('ZREM', set, member)
      end
      redis.call('ZREMRANGEBYSCORE', set, string.format('%.0f', now + 3.2e12), '+inf')
    end
  end
  return fence
end
