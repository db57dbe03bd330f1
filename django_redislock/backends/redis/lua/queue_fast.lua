-- Join the queue of a name with a single hold of limit 1 and others in the queue already: the
-- common case under contention. What is unusual is left to the functions below.
--
-- KEYS, ARGV and the reply as in acquire.lua

if type(line) == 'string' and string.sub(line, 1, #token) ~= token then
  local at, term = string.match(line, '^[!-~]+ 1%d%d+ (%d+) (%d+) %d+ %d+ %d+ 1 %d+ [sp]%w+ ')
  local until_ = now + stay
  -- Numbers with more digits are damage.
  if at and #at < 16 and #term < 14 and at + term > now and term + 0 < 3.2e12 then
    local found = redis.pcall('HMGET', records, token, 'kept until', 'cancelled')
    local kept = tonumber(found[2] or '')
    local last = redis.pcall('ZRANGE', queue, -1, -1, 'WITHSCORES')[2]
    if not found[1] and not found[3] and kept and kept >= until_ and kept < now + 3.2e12
        and last and #last == #micros and last < micros then
      redis.call('HSET', records, token,
        '000 ' .. millis .. ' ' .. stay .. ' 0 0 ' .. millis .. ' ' .. terms)
      redis.call('ZADD', queue, micros, token)
      return {0, at + term - now, now, line}
    end
  end
end
