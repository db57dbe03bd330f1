-- Acquire a name that is free, with nobody before us: the common case, in as few calls as it can be.
--
-- KEYS, ARGV and what it returns as in acquire.lua

local limit, lease = ARGV[4], ARGV[5]
if redis.call('EXISTS', alone, holds, queue, KEYS[7]) == 0 then
  local fence, expires = next_number(), now + lease
  -- Numbers that go into several places are written out once: that takes as long as a call.
  local ends = string.format('%.0f', expires)
  local record = string.format('%.0f %.0f ', fence, now)
  redis.call('SET', alone, table.concat(
    {token, ' ', ends, ' ', record, limit, ' ', lease, ' ', ARGV[7], ' 0 ', ARGV[8]}), 'PXAT', ends)
  redis.call('ZADD', index, ends, token .. ' ' .. name)
  -- Holds that ended by themselves leave their entries in the index: now and then some are swept,
  -- more than could have come since.
  if fence % 16 == 0 then
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 64)) do
      redis.call('ZREM', index, entry)
    end
  end
  return {fence, expires, now}
end

-- Who does not wait leaves all as it is.
if ARGV[6] == '0' then
  local who, expires, record = hold_alone()
  if who and who ~= token and (limit == '1' or string.match(record, '^%d+ %d+ (%d+)') == '1') then
    return {0, tonumber(expires), now, record}
  end
end
