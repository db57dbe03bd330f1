-- Join the queue of a name with a single hold of limit 1 and others in the queue already: the
-- common case under contention. Unusual cases are left to the functions below.
--
-- KEYS, ARGV and the reply as in acquire.lua

local stay, terms = ARGV[3], ARGV[4]

-- A caller that is ready to wait has most likely found the name busy.
local line = stay ~= '0' and redis.pcall('GET', hold)
if line and #line > 0 then -- an error has no length
  local who, at, term = string.match(line,
    '^([!-~]+) 1%d%d+ (%d+) (%d+) %d+ %d+ %d+ 1 %d+ %d+ [sp]%w+ ')
  -- Numbers with more digits are damaged.
  if who and who ~= token and #at < 15 and #term < 13 then
    local ends, until_ = at + term, now + stay
    local kept, cancelled = unpack(redis.pcall('HMGET', records, 'kept until', 'cancelled claims'))
    -- There may be thousands of cancelled claims, most likely without this token.
    kept = not (cancelled and string.find(cancelled, token, 1, true)) and tonumber(kept or '')
    if kept and kept >= until_ and kept < now + LONGEST and ends > now and ends < now + LONGEST
        and redis.call('HSETNX', records, token,
          '000 ' .. millis .. ' ' .. stay .. ' 0 0 ' .. millis .. ' ' .. terms) == 1 then
      -- RPUSHX, since a queue created here would have no expiry.
      local position = tonumber(redis.pcall('RPUSHX', queue, token)) or 0
      if position > 0 then
        return 'busy ' .. at .. ' ' .. term .. ' ' .. millis .. ' ' .. position .. ' ' .. line
      end
    end
  end
end
