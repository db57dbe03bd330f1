-- Tell a process something: how many connections heard it. Each process listens on one channel a
-- bucket, sharded ("s...") where its server can, else plain ("p...").
local function notify(process, message)
  local channel = string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
  return redis.call(string.byte(process) == 115 and 'SPUBLISH' or 'PUBLISH', channel, message)
end
