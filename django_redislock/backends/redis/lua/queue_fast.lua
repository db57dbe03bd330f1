-- Join the queue of a name with a single hold of limit 1 and others in the queue already: the
-- common case under contention. Unusual cases are left to the functions below. 3.2e12 is LONGEST,
-- which records.lua defines later.
--
-- KEYS, ARGV and the reply as in acquire.lua

local function busy_until(ends, position, line)
  return 'busy ' .. (ends - now) .. ' ' .. millis .. ' ' .. position .. ' ' .. line
end

if line and #line > 0 then -- an error has no length
  local who, at, term = string.match(line,
    '^([!-~]+) 1%d%d+ (%d+) (%d+) %d+ %d+ %d+ 1 %d+ %d+ [sp]%w+ ')
  -- Numbers with more digits are damaged.
  if who and who ~= token and #at < 15 and #term < 13 then
    local ends, until_ = at + term, now + stay
    local known, kept, cancelled = unpack(redis.pcall('HMGET', records, token, 'kept until',
      'cancelled claims'))
    kept = not known and not cancelled and tonumber(kept or '')
    -- RPUSHX, since a queue created here would have no expiry.
    local position = kept and kept >= until_ and kept < now + 3.2e12 and ends > now
      and ends < now + 3.2e12 and tonumber(redis.pcall('RPUSHX', queue, token)) or 0
    if position > 0 then
      redis.call('HSET', records, token,
        '000 ' .. millis .. ' ' .. stay .. ' 0 0 ' .. millis .. ' ' .. terms)
      return busy_until(ends, position, line)
    end
  end
end
