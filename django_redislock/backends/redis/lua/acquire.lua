-- Grant the claim if the name is free and nobody waits before it, else let it queue.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua    2 lease (ms)    3 stay in the queue (ms), or 0
--       4 terms: "limit lease grant process holder", see records.lua
-- Returns a text: the fence when granted, also when it was before;
--         "busy left now position token record" when busy: until the earliest end of a hold (ms),
--         now (ms), the position in the queue, its own or the one after the last when it does not
--         stay, and that hold;
--         "looser" when the token holds the name with a looser limit, and others beside it

lease, stay = tonumber(lease), tonumber(stay)
local limit = tonumber(string.match(terms, '^%d+'))
-- What `records` has of the token, and of the queue.
local known, kept
asking = string.match(terms, '^%d+ %d+ %d+ (%S+)')

-- An acquire was repeated, or comes with the token of another handle, whose hold it takes over.
local function take_over(mine)
  if limit < mine.limit and count > limit then
    return 'looser'
  end
  local fence = mine.fence or next_fence()
  -- A request that was delayed on its way must not take back what an extension granted since.
  -- What was detached nobody has extended, and whoever takes it over renews it.
  local detached = string.byte(mine.flags, 3) == 49
  local lease = detached and lease or math.max(lease, mine.ends - now)
  local flags = with_flags(mine, string.sub(mine.flags, 1, 1), '0', '0')
  local text = write_record(flags, lease, fence, mine.since, mine.began, terms)
  if only then
    redis.call('SET', hold, token .. ' ' .. text, 'PX', lease)
    only = {token = token, text = text, ends = now + lease, limit = limit}
  else
    local lowest = tonumber(redis.call('HGET', records, 'lowest limit') or '1') or 1
    redis.call('ZADD', holds, now + lease, token)
    redis.call('HSET', records, 'lowest limit', math.min(lowest, limit), token, text)
    keep(holds, lease, GRACE)
    keep(records, lease, GRACE)
  end
  put(index, now + lease, token .. ' ' .. name)
  if limit > mine.limit then
    hand_over()
  end
  return fence
end

-- Join the queue, or keep the place in it.
local function enter_queue()
  local before = read_record(known)
  local text = write_record('000', stay, 0, 0, before and before.began or millis, terms)
  kept = tonumber(kept or '') or 0
  local is_kept = kept >= now + stay and kept < now + LONGEST and redis.call('EXISTS', queue) == 1
  if is_kept then
    redis.call('HSET', records, token, text)
  else
    kept = now + stay + GRACE
    redis.call('HSET', records, token, text, 'kept until', kept)
  end
  if not redis.call('LPOS', queue, token) then
    redis.call('RPUSH', queue, token)
  end
  if not is_kept then
    redis.call('PEXPIRE', queue, kept - now)
    keep(records, kept - now, 0)
    put(waited, kept, name)
  end
  if only and not only.damaged and string.byte(only.flags) == 48 then
    only.text = '1' .. string.sub(only.text, 2)
    redis.call('SET', hold, only.token .. ' ' .. only.text, 'KEEPTTL')
  end
end

local function is_cancelled(marks)
  -- There may be thousands, and most likely this one is not among them.
  if not string.find(marks, token, 1, true) then
    return false
  end
  for until_, who in string.gmatch(marks, '(%d+) (%S+)') do
    if who == token and tonumber(until_) > now then
      return true
    end
  end
  return false
end

local function position()
  local before_it = stay > 0 and redis.call('LPOS', queue, token)
  return (before_it or redis.call('LLEN', queue)) + 1
end

local function busy()
  local first = only
  if not only and count > 0 then
    first = hold_of(redis.call('ZRANGE', holds, '0', '0')[1])
  end
  local line = first and first.token .. ' ' .. first.text or ''
  return busy_until(first and first.ends or now, position(), line)
end

local function verb()
  local refused
  known, kept, refused = unpack(redis.call('HMGET', records, token, 'kept until',
    'cancelled claims'))
  if refused and is_cancelled(refused) then
    return busy_until(now, position(), '')
  end
  find_holds(line)
  line = false
  local mine = hold_of(token)
  if mine then
    return take_over(mine)
  end
  if stay > 0 then
    enter_queue()
  end
  local fence = hand_over(token, limit)
  local lowest = not fence and stay == 0 and room_for(limit)
  if lowest and redis.call('EXISTS', queue) == 0 then
    fence = next_fence()
    grant(token, '000', {began = millis, terms = terms, limit = limit}, fence, lease, lowest)
  end
  if stale and not only then
    redis.call('DEL', hold)
  end
  return fence or busy()
end
