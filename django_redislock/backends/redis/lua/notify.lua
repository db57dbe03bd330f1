-- The way to a process. Each listens on one channel a bucket, sharded ("s...") where its server
-- can, else plain ("p...").

local function channel_of(process)
  return string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
end

local function is_sharded(process)
  return string.byte(process) == 115
end

-- Tell a process something: how many connections heard it. In a Cluster ("sx...") replicas pass on
-- what nobody hears here, perhaps to a process that has not heard of a failover yet.
local function notify(process, message)
  local channel = channel_of(process)
  if string.byte(process, 2) == 120 and redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] == 0 then
    return 0
  end
  return redis.call(is_sharded(process) and 'SPUBLISH' or 'PUBLISH', channel, message)
end
