-- A process listens on one channel a bucket: sharded ("s...") where its server can, else plain.
local function tell(process, ...)
  local channel = string.gsub(counter, 'fence$', 'wake:') .. string.sub(process, 2)
  local publish = string.sub(process, 1, 1) == 's' and 'SPUBLISH' or 'PUBLISH'
  return redis.call(publish, channel, table.concat({...}, ' '))
end
