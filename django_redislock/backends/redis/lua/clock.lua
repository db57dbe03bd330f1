-- The server's clock, in microseconds and milliseconds since 1970. Text needs no conversion to be
-- copied and compared.

local seconds, fraction = unpack(redis.call('TIME'))
local micros = seconds .. (#fraction == 6 and fraction or string.sub('00000' .. fraction, -6))
local millis = string.sub(micros, 1, -4)
local now = millis + 0

-- More than a century (ms): no script writes a later end.
local LONGEST = 3.2e12

-- The keys of a name outlive its holds and waiters a little (ms), so that expired ones are found and
-- cleaned up.
local GRACE = 60000
