-- Messages to processes. Each process listens on one channel per bucket: sharded ("s...") if its
-- server supports that, else plain ("p...").

local function channel_of(process)
  return string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
end

local function is_sharded(process)
  return string.byte(process) == 115
end

-- Send a message to a process. Returns how many connections received it. In a Cluster ("sx...")
-- replicas would pass on a message without subscribers here, perhaps to a process that does not
-- know of a failover yet.
local function notify(process, message)
  local channel = channel_of(process)
  if string.byte(process, 2) == 120 and redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] == 0 then
    return 0
  end
  return redis.call(is_sharded(process) and 'SPUBLISH' or 'PUBLISH', channel, message)
end
