-- Set the token's lease anew.
--
-- KEYS  1-6 as in head.lua
-- ARGV  1-3 as in head.lua    4 lease (ms)    5 1 if the lease must not become shorter by it
-- Returns {end of the lease (ms), now (ms)}, or {0, now} if the token does not hold the name

local expires = tonumber(redis.call('ZSCORE', holds, token) or '0')
if expires <= now then
  return {0, now}
end
local lease = tonumber(ARGV[4])
if ARGV[5] == '1' then
  lease = math.max(lease, expires - now)
end
expires = set_lease(token, lease)
keep(holds, lease)
keep(records, lease)
return {expires, now}
