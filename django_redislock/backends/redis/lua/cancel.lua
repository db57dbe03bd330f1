-- Take a claim back, whether it waits, holds, or has not arrived yet.
--
-- KEYS  1-6 as in head.lua    7 gone: what tells an acquire that comes later that it is cancelled
-- ARGV  1-3 as in head.lua    4 how long a late acquire may still come (ms), or 0
--       5 1 to leave alone a hold that an acquire was answered with
-- Returns 0

local record = read_record(token)
if ARGV[5] == '1' and record and record.deadline == 0 then
  return 0
end
if tonumber(ARGV[4]) > 0 then
  redis.call('SET', KEYS[7], '', 'PX', ARGV[4])
end
redis.call('ZREM', queue, token)
forget_hold(token)
pass_on()
return 0
