-- Grant the claim if the name is free and no waiter is ahead of it; otherwise let it queue.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua    2 lease (ms)    3 stay in the queue (ms), or 0
--       4 terms: "limit lease grant process holder", see records.lua
-- Returns a text: the fence when granted, now or by an earlier call;
--         "busy at term now position token record" when busy: the hold that ends first does so at
--         this time (ms), after this term (ms); now (ms); the position in the queue (after the last
--         if the claim does not stay); and the record of that hold;
--         "looser" when the token holds the name with a looser limit, beside other holders

-- The fast parts have read the arguments, and perhaps `line`, the value under `hold`.
lease, stay = tonumber(lease), tonumber(stay)
local limit = tonumber(string.match(terms, '^%d+'))
-- The queue's 'kept until' in `records`.
local kept
asking = string.match(terms, '^%d+ %d+ %d+ (%S+)')

-- The acquire is a repeat, or it takes over the hold of another handle by using its token.
local function take_over(mine)
  if count > limit then
    return 'looser'
  end
  local fence = mine.fence or next_fence()
  -- A request that was delayed on its way must not take back what an extension granted since.
  -- Nothing has extended a detached hold since, and the handle that takes it over renews it.
  local detached = string.sub(mine.flags, 3, 3) == '1'
  local lease = detached and lease or math.max(lease, left_of(mine))
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
local function enter_queue(claim)
  local text = write_record('000', stay, 0, 0, claim.began, terms)
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
  if only and not only.damaged and string.sub(only.flags, 1, 1) == '0' then
    only.text = '1' .. string.sub(only.text, 2)
    redis.call('SET', hold, only.token .. ' ' .. only.text, 'KEEPTTL')
  end
end

local function is_cancelled(marks)
  -- A plain search first: there may be thousands of marks, most likely none for this token.
  if not string.find(marks, token, 1, true) then
    return false
  end
  for until_, owner in string.gmatch(marks, '(%d+) (%S+)') do
    if owner == token and tonumber(until_) > now then
      return true
    end
  end
  return false
end

local function position()
  local before_it = stay > 0 and redis.call('LPOS', queue, token)
  return (before_it or redis.call('LLEN', queue)) + 1
end

local function busy_until(ends, line)
  return 'busy ' .. ends .. ' 0 ' .. millis .. ' ' .. position() .. ' ' .. line
end

local function busy()
  local first = only
  if not only and count > 0 then
    first = hold_of(redis.call('ZRANGE', holds, '0', '0')[1])
  end
  return busy_until(first and first.ends or now, first and first.token .. ' ' .. first.text or '')
end

local function verb()
  if granted then
    sweep()
    return granted
  end
  find_holds(line)
  local known, refused
  known, kept, refused = unpack(redis.call('HMGET', records, token, 'kept until',
    'cancelled claims'))
  if refused and is_cancelled(refused) then
    return busy_until(now, '')
  end
  local mine = hold_of(token)
  if mine then
    return take_over(mine)
  end
  local before = read_record(known)
  local claim = {token = token, began = before and before.began or millis, terms = terms,
    limit = limit, lease = lease}
  if stay > 0 then
    enter_queue(claim)
  end
  local fence = hand_over(claim)
  local lowest = not fence and stay == 0 and room_for(limit)
  if lowest and redis.call('EXISTS', queue) == 0 then
    fence = next_fence()
    grant(token, '000', claim, fence, lease, lowest)
  end
  if not fence then
    return busy()
  end
  if sweeps then
    sweep()
  end
  return fence
end
