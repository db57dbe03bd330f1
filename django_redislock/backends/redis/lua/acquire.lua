-- Grant the claim if the name is free and nobody waits before it, else let it queue.
--
-- KEYS  1-6 as in head.lua    7 gone: exists if the claim was cancelled before it came here
-- ARGV  1-3 as in head.lua    4 limit   5 lease (ms)   6 how long to stay in the queue (ms), or 0
--       7 process, for its wake-up channel   8 holder
-- Returns {fence, end of the lease (ms), now (ms)} when granted, also when it was before, else
--         {0, earliest end of a present hold (ms), now (ms), that hold's record}

local gone = KEYS[7]
local claim = {limit = tonumber(limit), lease = tonumber(lease), process = ARGV[7], deadline = 0,
  holder = ARGV[8]}
local stay = tonumber(ARGV[6])

if redis.call('EXISTS', gone) == 1 then
  return {0, now, now, ''}
end

drop_expired()
if redis.call('ZSCORE', holds, token) then
  -- Who asks with the token of another handle takes its hold over.
  local record, expires = read_record(token), set_lease(token, claim.lease)
  local fence = record.fence
  redis.call('HSET', records, token,
    pack(fence, record.since, record.limit, claim.lease, claim.process, 0, claim.holder))
  keep(holds, claim.lease)
  keep(records, claim.lease)
  return {fence, expires, now}
end

if stay > 0 then
  local since = now
  if redis.call('ZADD', queue, 'NX', next_number(), token) == 0 then
    since = (read_record(token) or {since = now}).since
  end
  redis.call('HSET', records, token,
    pack(0, since, claim.limit, claim.lease, claim.process, now + stay, claim.holder))
  keep(queue, stay)
  keep(records, stay)
end

local fence, expires = hand_over(token, claim.limit)
if not fence and stay == 0 and redis.call('EXISTS', queue) == 0 then
  local lowest = room_for(claim.limit)
  if lowest then
    fence = next_number()
    expires = grant(token, claim, lowest, fence, claim.lease)
  end
end
if fence then
  return {fence, expires, now}
end

local first = redis.call('ZRANGE', holds, 0, 0, 'WITHSCORES')
return {0, tonumber(first[2]) or now, now, first[1] and redis.call('HGET', records, first[1]) or ''}
