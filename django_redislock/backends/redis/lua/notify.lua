-- Tell a process something: how many connections heard it. Each process listens on one channel a
-- bucket, sharded ("s...") where its server can, else plain ("p..."). In a Cluster ("sx...") replicas
-- pass on what nobody hears here, perhaps to a process that has not heard of a failover yet.
local function notify(process, message)
  local channel = string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
  if string.byte(process, 2) == 120 and redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] == 0 then
    return 0
  end
  return redis.call(string.byte(process) == 115 and 'SPUBLISH' or 'PUBLISH', channel, message)
end
