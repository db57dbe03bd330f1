-- Messages to processes. Each process listens on one channel per bucket: sharded ("s...") on a
-- Cluster, else plain ("p...").

-- Send a message to a process. Returns how many connections received it; without a message, how
-- many are subscribed to the channel of the process on this server. Without a subscriber here
-- nothing is sent: after a failover a process may still be subscribed to the old primary, which is
-- a replica now and would pass the message on, so it would take a turn that counts as not given.
local function notify(process, message)
  local sharded = string.sub(process, 1, 1) == 's'
  local channel = string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
  local found = redis.pcall('PUBSUB', sharded and 'SHARDNUMSUB' or 'NUMSUB', channel)
  if found.err then
    if string.find(found.err, 'Unknown subcommand', 1, true) then
      return 0 -- Redis 6.2 has no sharded channels: the record is damaged
    end
    error(found.err)
  elseif found[2] == 0 or not message then
    return found[2]
  end
  return redis.call(sharded and 'SPUBLISH' or 'PUBLISH', channel, message)
end
