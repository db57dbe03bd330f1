-- The server's clock. As text, it is copied and compared without being converted: microseconds and
-- milliseconds since 1970.

local time = redis.call('TIME')
local micros = time[1] .. string.sub('00000' .. time[2], -6)
local millis = string.sub(micros, 1, -4)
local now = tonumber(millis)
