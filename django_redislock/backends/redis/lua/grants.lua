-- What the scripts share once somebody holds or waits: expiry, granting, and the hand-over.
--
-- KEYS and ARGV as in head.lua

local grant_lease = tonumber(ARGV[3])

-- The keys of a name outlive its holds a little, so that what expired is found and tidied up.
local GRACE = 60000

local function pack(fence, since, limit, lease, process, deadline, holder)
  return string.format('%.0f %.0f %d %d %s %.0f %s',
    fence, since, limit, lease, process, deadline, holder)
end

local function keep(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, ms + GRACE)
  end
end

local function read_record(who)
  local fence, since, limit, lease, process, deadline, holder = string.match(
    redis.call('HGET', records, who) or '', '^(%d+) (%d+) (%d+) (%d+) (%S+) (%d+) (.*)$')
  if not fence then
    return nil
  end
  return {fence = tonumber(fence), since = tonumber(since), limit = tonumber(limit),
    lease = tonumber(lease), process = process, deadline = tonumber(deadline), holder = holder}
end

-- The process that is asking, where the reply can bring its waiters their turns, and those turns:
-- token, fence, end of the lease, token, ...
local here, turns = '', {}

-- Whether the turn reaches its waiter: nobody listens for a process that has ended.
local function tell_turn(who, claim, fence, expires)
  if claim.process == here then
    for _, part in ipairs({who, fence, expires}) do
      table.insert(turns, part)
    end
    return true
  end
  return tell(claim.process, 'turn', who, string.format('%.0f %.0f', fence, expires), name) > 0
end

-- Whether somebody listens for the process.
local function is_there(process)
  local channel = string.gsub(counter, 'fence$', 'wake:') .. string.sub(process, 2)
  local count = string.sub(process, 1, 1) == 's' and 'SHARDNUMSUB' or 'NUMSUB'
  return redis.call('PUBSUB', count, channel)[2] > 0
end

-- The only hold becomes the first of many.
local function unfold()
  local who, expires, record = hold_alone()
  if who then
    redis.call('DEL', alone)
    redis.call('ZADD', holds, expires, who)
    redis.call('HSET', records, 'lowest limit', string.match(record, '^%d+ %d+ (%d+)'), who, record)
    -- The clock may have gone on since the server found the key alive.
    local left = math.max(expires - now, 0)
    keep(holds, left)
    keep(records, left)
  end
end

local function forget_hold(who)
  redis.call('ZREM', index, who .. ' ' .. name)
  redis.call('HDEL', records, who)
  return redis.call('ZREM', holds, who)
end

local function drop_expired()
  for _, who in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
    forget_hold(who)
  end
end

-- The lowest limit of all holders once one of this limit has joined them, or nil if that would
-- break it. What is stored may be too low (its holder may have left), never too high, so it is
-- counted anew before anybody is refused for it.
local function room_for(limit)
  local count = redis.call('ZCARD', holds)
  if count == 0 then
    return limit
  elseif count >= limit then
    return nil
  end
  local lowest = tonumber(redis.call('HGET', records, 'lowest limit') or '1')
  if count >= lowest then
    lowest = limit
    for _, who in ipairs(redis.call('ZRANGE', holds, 0, -1)) do
      local record = read_record(who)
      lowest = math.min(lowest, record and record.limit or 1)
    end
    if count >= lowest then
      return nil
    end
  end
  return math.min(lowest, limit)
end

local function set_lease(who, lease)
  local expires = now + lease
  redis.call('ZADD', holds, expires, who)
  redis.call('ZADD', index, expires, who .. ' ' .. name)
  return expires
end

local function grant(who, claim, lowest, fence, lease)
  redis.call('HSET', records, 'lowest limit', lowest, who,
    pack(fence, now, claim.limit, claim.lease, claim.process, claim.deadline, claim.holder))
  local expires = set_lease(who, lease)
  keep(holds, lease)
  keep(records, lease)
  return expires
end

-- Make those who wait holders, in their order, as far as there is room. Each is told of it, which
-- is its proof; who has given up, or whose process has ended, is passed over. Returns
-- the fence and the end of the lease of `me`, the one who is asking and, of this limit, might have
-- room where the first has none.
local function hand_over(me, my_limit)
  local my_fence, my_end, granted
  while granted ~= 1 do -- beside a holder of that limit there is room for nobody
    local who = redis.call('ZRANGE', queue, 0, 0)[1]
    local claim = who and read_record(who)
    local lowest = claim and room_for(claim.limit)
    local waits = claim and (who == me or claim.deadline > now)
    if waits and not lowest and me and my_limit > claim.limit and room_for(my_limit) then
      waits = is_there(claim.process)
    end
    if not who or (waits and not lowest) then
      break
    end
    redis.call('ZREM', queue, who)
    if waits and who == me then
      my_fence, claim.deadline = next_number(), 0
      my_end = grant(who, claim, lowest, my_fence, claim.lease)
      granted = lowest
    elseif waits then
      local fence, lease = next_number(), math.min(claim.lease, grant_lease)
      if tell_turn(who, claim, fence, now + lease) then
        grant(who, claim, lowest, fence, lease)
        granted = lowest
      else
        redis.call('HDEL', records, who)
      end
    else
      redis.call('HDEL', records, who)
    end
  end
  return my_fence, my_end
end

-- What is done after a hold ended or a place in the queue came free.
local function pass_on()
  if redis.call('EXISTS', queue) == 1 then
    drop_expired()
    hand_over()
  end
  if redis.call('EXISTS', holds, queue) == 0 then
    redis.call('DEL', records)
  end
end

unfold()
