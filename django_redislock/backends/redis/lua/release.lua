-- End the token's hold and hand the name over.
--
-- KEYS  1-6 as in head.lua
-- ARGV  1-3 as in head.lua
-- Returns 1, or 0 if the token did not hold the name any more

local expires = tonumber(redis.call('ZSCORE', holds, token) or '0')
forget_hold(token)
pass_on()
return expires > now and 1 or 0
