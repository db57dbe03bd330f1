-- Renew the lease of the only hold of a name.
--
-- KEYS, ARGV and the reply as in extend.lua

-- The lease (ms) and the flags of a hold that is extended.
local function renewed(record)
  local lease, flags = tonumber(ARGV[2]), record.flags
  if ARGV[3] == '1' then
    lease = math.max(lease, left_of(record))
  end
  -- A holder that extends its hold knows of its turn.
  if ARGV[4] == '1' or string.sub(flags, 2, 2) == '1' then
    flags = with_flags(record, string.sub(flags, 1, 1), '0', ARGV[4] == '1' and '1'
      or string.sub(flags, 3, 3))
  end
  return lease, flags
end

local line = redis.pcall('GET', hold)
if type(line) == 'string' and string.sub(line, 1, #token + 1) == token .. ' ' then
  local record = read_record(string.sub(line, #token + 2))
  if not record or record.ends <= now then
    return 0
  end
  local lease, flags = renewed(record)
  -- A server without free memory refuses SET, but not if the script has written before.
  redis.call('PEXPIRE', hold, lease)
  redis.call('SET', hold, token .. ' '
    .. write_record(flags, lease, record.fence, record.since, record.began, record.terms),
    'PX', lease)
  put(index, now + lease, token .. ' ' .. name)
  return lease
end
