-- Take a claim back, whether it waits, holds, or has not arrived yet.
--
-- KEYS  1-7 as in keys.lua    8 cancelled: tells an acquire that comes later that it is cancelled
-- ARGV  1-2 as in keys.lua    3 grant lease (ms)    4 how long a late acquire may come (ms), or 0
--       5 1 to leave alone a hold that an acquire was answered with
-- Returns 0

local function verb()
  find_holds()
  local mine = hold_of(token)
  if mine and ARGV[5] == '1' and string.sub(mine.flags, 2, 2) == '0' then
    return 0
  end
  if tonumber(ARGV[4]) > 0 then
    redis.call('SET', KEYS[8], '', 'PX', ARGV[4])
  end
  if leave_queue(token) and redis.call('EXISTS', queue) == 0 then
    end_queue()
  end
  if mine then
    forget(token)
  end
  pass_on()
  return 0
end
