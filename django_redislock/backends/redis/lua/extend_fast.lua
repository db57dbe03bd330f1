-- Set the lease of the only hold of a name anew.
--
-- KEYS, ARGV and the reply as in extend.lua

local line = redis.pcall('GET', hold)
if type(line) == 'string' and string.sub(line, 1, #token + 1) == token .. ' ' then
  local record = read_record(string.sub(line, #token + 2))
  if not record or record.ends <= now then
    return 0
  end
  local lease = tonumber(ARGV[3])
  if ARGV[4] == '1' then
    lease = math.max(lease, record.ends - now)
  end
  -- Whoever extends it has heard of its turn.
  local flags = record.flags
  if ARGV[5] == '1' or string.byte(flags, 2) == 49 then
    flags = with_flags(record, string.sub(flags, 1, 1), '0', ARGV[5] == '1' and '1'
      or string.sub(flags, 3, 3))
  end
  redis.call('SET', hold, token .. ' '
    .. write_record(flags, lease, record.fence, record.since, record.began, record.terms),
    'PX', lease)
  put(index, now + lease, token .. ' ' .. name)
  return lease
end
