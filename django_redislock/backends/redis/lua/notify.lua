-- Messages to processes. Each process listens on one channel per bucket: sharded ("s...") if its
-- server supports that, else plain ("p...").

local function channel_of(process)
  return string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
end

local function is_sharded(process)
  return string.byte(process) == 115
end

-- Whether the process is subscribed to its channel on this server.
local function is_there(process)
  local subcommand = is_sharded(process) and 'SHARDNUMSUB' or 'NUMSUB'
  local found = redis.pcall('PUBSUB', subcommand, channel_of(process))
  if not found.err then
    return found[2] > 0
  elseif string.find(found.err, 'Unknown subcommand', 1, true) then
    return false -- Redis 6.2 has no sharded channels: the record is damaged
  end
  error(found.err)
end

-- Send a message to a process. Returns how many connections received it. Without a subscriber here
-- nothing is sent: after a failover a process may still be subscribed to the old primary, which is
-- a replica now and would pass the message on, so it would take a turn that counts as not given.
local function notify(process, message)
  if not is_there(process) then
    return 0
  end
  return redis.call(is_sharded(process) and 'SPUBLISH' or 'PUBLISH', channel_of(process), message)
end
