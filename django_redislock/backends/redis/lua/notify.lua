-- The way to a process. Each listens on one channel a bucket, sharded ("s...") where its server
-- can, else plain ("p...").

local function channel_of(process)
  return string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
end

local function is_sharded(process)
  return string.byte(process) == 115
end

-- Tell a process something: how many connections heard it.
local function notify(process, message)
  local command = is_sharded(process) and 'SPUBLISH' or 'PUBLISH'
  return redis.call(command, channel_of(process), message)
end
