-- End a single hold and hand the name over to the first in its queue, of limit 1 and in another
-- process or this one: the common case under contention. What is unusual, also a damaged record or
-- a process that is gone, is left to the functions below.
--
-- KEYS, ARGV and the reply as in release.lua

local grant_lease, here = string.match(ARGV[3], '^(%d+) (%S+)$')
if type(line) == 'string' and string.sub(line, 1, #token + 2) == token .. ' 1' then
  local first = redis.pcall('ZRANGE', queue, 0, 1)
  local who = first[1]
  local claim = who and redis.pcall('HGET', records, who)
  local at, term, began, terms, lease, process = string.match(
    type(claim) == 'string' and claim or '',
    '^%d%d%d+ (%d+) (%d+) %d+ %d+ (%d+) (1 (%d+) ([sp]%w+) .*)$')
  -- Numbers with more digits are damage.
  if at and #at < 16 and #term < 14 and at + term > now and #began < 16 and #lease < 14 then
    local last = redis.pcall('SET', counter, micros, 'GET')
    if last and #last == #micros and last < micros then
      lease = math.min(lease, grant_lease)
      local ends = now + lease
      local channel = string.sub(counter, 1, -6) .. 'wake:' .. string.sub(process, 2)
      local heard = process == here or (string.byte(process, 2) ~= 120
        or redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > 0) and redis.call(
        string.byte(process) == 115 and 'SPUBLISH' or 'PUBLISH', channel,
        'turn 3 ' .. who .. ' ' .. micros .. ' ' .. ends .. ' ' .. name) > 0
      if heard then
        redis.call('ZREM', queue, who)
        redis.call('HDEL', records, who)
        redis.call('SET', hold, who .. (first[2] and ' 110 ' or ' 010 ') .. millis .. ' ' .. lease
          .. ' ' .. micros .. ' ' .. millis .. ' ' .. began .. ' ' .. terms, 'PX', lease)
        redis.pcall('ZREM', index, token .. ' ' .. name)
        redis.pcall('ZADD', index, ends, who .. ' ' .. name)
        if not first[2] then
          redis.call('HDEL', records, 'kept until')
          redis.pcall('ZREM', waited, name)
        end
        return process == here and {1, who, micros, ends} or 1
      end
    elseif type(last) == 'string' then
      redis.call('SET', counter, last)
    end
  end
end
