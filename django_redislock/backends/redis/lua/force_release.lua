-- End the hold that was seen with this token, tell its process, and hand the name over.
--
-- KEYS  1-6 as in head.lua
-- ARGV  1-3 as in head.lua
-- Returns 1, or 0 if that hold has ended or changed since

local expires = tonumber(redis.call('ZSCORE', holds, token) or '0')
local record = read_record(token)
if expires <= now or not record then
  return 0
end
forget_hold(token)
tell(record.process, 'lost', token, name)
pass_on()
return 1
