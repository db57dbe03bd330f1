-- Granting, the queue, and the hand-over.

-- The calling process, if the reply can carry turns to its waiters; and these turns, each with
-- token, fence and end of the lease.
local here
local turns = {}
-- The process that is asking, and so is not frozen; nil if that is not known.
local asking

-- The lowest limit of all holds after adding one with this limit, or nil if that would break a
-- limit. The stored value may be too low (its holder may have left) but never too high, so it is
-- computed again before a claim is refused because of it.
local function room_for(limit)
  if count == 0 then
    return limit
  elseif count >= limit then
    return nil
  elseif only then
    return count < only.limit and math.min(limit, only.limit) or nil
  end
  local lowest = tonumber(redis.call('HGET', records, 'lowest limit') or '1') or 1
  if count >= lowest then
    lowest = limit
    for _, who in ipairs(redis.call('ZRANGE', holds, '0', '-1')) do
      lowest = math.min(lowest, hold_of(who).limit)
    end
    if count >= lowest then
      return nil
    end
  end
  return math.min(lowest, limit)
end

-- Turn the only hold into the first of several. It is deleted last: a write may fail because
-- something foreign is under its key, and the hold must not be lost then.
local function unfold()
  if only then
    local left = only.ends - now
    redis.call('ZADD', holds, only.ends, only.token)
    redis.call('HSET', records, only.token, only.text)
    redis.call('DEL', hold)
    keep(holds, left, GRACE)
    keep(records, left, GRACE)
    only = nil
  end
end

local function grant(who, flags, claim, fence, lease, lowest)
  local text = write_record(flags, lease, fence, millis, claim.began, claim.terms)
  local ends = now + lease
  if count == 0 then
    -- An unconfirmed hand-over stays stored after its end, so that its silent process is known.
    local kept = string.sub(flags, 2, 2) == '1' and lease * 10 or lease
    redis.call('SET', hold, who .. ' ' .. text, 'PX', kept)
    only = {token = who, text = text, ends = ends, limit = claim.limit}
  else
    unfold()
    redis.call('ZADD', holds, ends, who)
    redis.call('HSET', records, 'lowest limit', lowest, who, text)
    keep(holds, lease, GRACE)
    keep(records, lease, GRACE)
  end
  count = count + 1
  put(index, ends, who .. ' ' .. name)
end

-- Clean up after the last waiter has left the queue.
local function end_queue()
  redis.pcall('ZREM', waited, name)
  redis.call('HDEL', records, 'kept until')
end

-- Move the waiters of silent processes behind all others: each would cost those a grant lease.
local function put_silent_behind()
  silent[asking or ''] = nil
  if not next(silent) then
    return
  end
  local front, back = {}, {}
  for _, who in ipairs(redis.call('LRANGE', queue, '0', '-1')) do
    local claim = read_record(redis.call('HGET', records, who))
    table.insert(claim and silent[claim.process] and back or front, who)
  end
  silent = {}
  if #front > 0 and #back > 0 then
    local left = redis.call('PTTL', queue)
    redis.call('DEL', queue)
    for _, part in ipairs({front, back}) do
      for _, who in ipairs(part) do
        redis.call('RPUSH', queue, who)
      end
    end
    redis.call('PEXPIRE', queue, math.max(left, GRACE))
  end
end

-- The processes found to have ended. Each is asked only once: it may have left thousands of waiters.
local gone = {}

-- Whether the turn reaches its waiter. A process that has ended has no subscriber.
local function give_turn(who, process, fence, ends)
  if process == here then
    table.insert(turns, who .. ' ' .. fence .. ' ' .. ends)
    return true
  end
  return notify(process, 'turn 3 ' .. who .. ' ' .. fence .. ' ' .. ends .. ' ' .. name) > 0
end

-- Grant the name to waiters in queue order while there is room. Each gets its turn, which proves
-- its hold; a waiter that has given up, or whose process has ended, is skipped. Returns the fence
-- of `mine`, the claim of the caller, if granted. What the caller asks for now counts, not what it
-- asked for when it queued. With its limit, it may have room where the first in the queue has none.
local function hand_over(mine)
  local my_fence
  put_silent_behind()
  while not (only and only.limit == 1) do
    local who, next_one = unpack(redis.call('LRANGE', queue, '0', '1'))
    if not who then
      break
    end
    local is_mine = mine and who == mine.token
    -- Should a damaged queue have it twice, it holds by the second time, and keeps its record. To
    -- look for it with LREM would take seconds if there are thousands of dead waiters.
    local holds_already = hold_of(who)
    local claim = is_mine and mine
      or not holds_already and read_record(redis.call('HGET', records, who))
    -- A token with a blank is damaged: the message with its turn could not be parsed.
    local waits = is_mine or claim and claim.ends > now and not gone[claim.process]
      and not string.find(who, ' ', 1, true)
    local lowest = waits and room_for(claim.limit)
    if waits and not lowest then
      -- The others wait behind it, unless its process has ended and the caller has room.
      if not mine or mine.limit <= claim.limit or not room_for(mine.limit)
          or notify(claim.process) > 0 then
        break
      end
      gone[claim.process] = true
      waits = false
    end
    redis.call('LPOP', queue)
    if not holds_already then
      redis.call('HDEL', records, who)
    end
    if not next_one then
      end_queue()
    end
    if waits then
      local fence = next_fence()
      local flags = next_one and '1' or '0'
      if is_mine then
        my_fence, mine = fence, nil
        grant(who, flags .. '00', claim, fence, claim.lease, lowest)
      elseif give_turn(who, claim.process, fence, now + claim.grant) then
        grant(who, flags .. '10', claim, fence, claim.grant, lowest)
      else
        gone[claim.process] = true
      end
    end
  end
  return my_fence
end

-- After a hold or a waiter has left: pass the name on, and delete data that is no longer needed.
local function pass_on()
  hand_over()
  if only then
    return
  elseif stale then
    redis.call('DEL', hold)
  end
  if count == 0 then
    redis.call('HDEL', records, 'lowest limit')
  end
end
