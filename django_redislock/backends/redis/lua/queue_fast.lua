-- Join the queue of a name with a single hold of limit 1: the common case under contention. Unusual
-- cases are left to the functions below.
--
-- KEYS, ARGV and the reply as in acquire.lua

local stay, terms = ARGV[3], ARGV[4]

-- A caller that is ready to wait has most likely found the name busy.
local line = stay ~= '0' and redis.pcall('GET', hold)
if line and #line > 0 then -- an error has no length
  local who, waits, at, term = string.match(line,
    '^([!-~]+) ([01])%d%d+ (%d+) (%d+) %d+ %d+ %d+ 1 %d+ %d+ [sp]%w+ ')
  -- Numbers with more digits are damaged.
  if who and who ~= token and #at < 15 and #term < 13 then
    local ends, until_ = at + term, now + stay
    local kept, cancelled = unpack(redis.pcall('HMGET', records, 'kept until', 'cancelled claims'))
    local is_first = kept == false -- nil after an error
    kept = is_first and until_ + GRACE or tonumber(kept or '')
    -- There may be thousands of cancelled claims, most likely without this token.
    if not (cancelled and string.find(cancelled, token, 1, true))
        and kept and kept >= until_ and kept < now + LONGEST and ends > now and ends < now + LONGEST
        and redis.call('HSETNX', records, token,
          '000 ' .. millis .. ' ' .. stay .. ' 0 0 ' .. millis .. ' ' .. terms) == 1 then
      -- Only the first waiter gives the queue an expiry, so no other may create it.
      local position = tonumber(redis.pcall(is_first and 'RPUSH' or 'RPUSHX', queue, token)) or 0
      -- If a key is of another type, the slow path replaces it.
      if position > 0 and (not is_first or type(redis.pcall('ZADD', waited, kept, name)) == 'number')
      then
        if is_first then
          redis.call('PEXPIRE', queue, stay + GRACE)
          if redis.call('PTTL', records) < stay + GRACE then
            redis.call('PEXPIRE', records, stay + GRACE)
          end
          redis.call('HSET', records, 'kept until', kept)
        end
        if waits == '0' then
          line = who .. ' 1' .. string.sub(line, #who + 3)
          redis.call('SET', hold, line, 'KEEPTTL')
        end
        return 'busy ' .. at .. ' ' .. term .. ' ' .. millis .. ' ' .. position .. ' ' .. line
      end
    end
  end
end
