-- Set the lease of the only hold of a name anew.
--
-- KEYS, ARGV and what it returns as in extend.lua

local who, expires, record = hold_alone()
if who == token then
  local lease = tonumber(ARGV[4])
  if ARGV[5] == '1' then
    lease = math.max(lease, expires - now)
  end
  local ends = string.format('%.0f', now + lease)
  redis.call('SET', alone, token .. ' ' .. ends .. ' ' .. record, 'PXAT', ends)
  redis.call('ZADD', index, ends, token .. ' ' .. name)
  return {now + lease, now}
elseif who then
  return {0, now}
end
