-- The time, and the numbers that rise with it.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Above every number given before, also after a restart that forgot the counter: the clock is
-- above them all, and where the clock was set back the counter is.
local function next_number()
  local number = time[1] * 1000000 + time[2]
  local last = tonumber(redis.call('SET', counter, string.format('%.0f', number), 'GET') or '0')
  if last >= number then
    number = last + 1
    redis.call('SET', counter, string.format('%.0f', number))
  end
  return number
end

-- Token, end of the lease and record of the only hold, or nil.
local function hold_alone()
  if line == nil then
    line = redis.call('GET', alone)
  end
  if line then
    return string.match(line, '^(%S+) (%d+) (.*)$')
  end
end
