-- End the token's hold and hand the name over.
--
-- KEYS  1-6 as in head.lua
-- ARGV  1-3 as in head.lua    4 process, which gives the turns in the reply to its waiters
-- Returns {1, or 0 if the token did not hold the name any more; then of each who got its turn in
--         that process: token, fence, end of the lease (ms)}

local expires = tonumber(redis.call('ZSCORE', holds, token) or '0')
forget_hold(token)
here = ARGV[4]
pass_on()
table.insert(turns, 1, expires > now and 1 or 0)
return turns
