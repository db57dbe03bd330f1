-- The server's clock. As text, it is copied and compared without being converted: microseconds and
-- milliseconds since 1970.

local seconds, fraction = unpack(redis.call('TIME'))
local micros = seconds .. (#fraction == 6 and fraction or string.sub('00000' .. fraction, -6))
local millis = string.sub(micros, 1, -4)
local now = millis + 0
