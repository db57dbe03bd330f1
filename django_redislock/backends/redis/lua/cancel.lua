-- Take a claim back, whether it waits, holds, or has not arrived yet.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua    2 how long a late acquire may come (ms), and is refused, or 0
--       3 1 to leave alone a hold that an acquire was answered with
-- Returns 0

-- Let an acquire with this token be refused; older marks are dropped when their time is over.
local function mark_cancelled(late)
  local marks = (now + late) .. ' ' .. token
  local before = redis.call('HGET', records, 'cancelled claims') or ''
  for until_, who in string.gmatch(before, '(%d+) (%S+)') do
    if who ~= token and #until_ < 16 and tonumber(until_) > now then
      marks = marks .. ' ' .. until_ .. ' ' .. who
    end
  end
  redis.call('HSET', records, 'cancelled claims', marks)
  keep(records, late, GRACE)
end

local function verb()
  find_holds()
  local mine = hold_of(token)
  if mine and ARGV[3] == '1' and string.sub(mine.flags, 2, 2) == '0' then
    return 0
  end
  if ARGV[2] ~= '0' then
    mark_cancelled(tonumber(ARGV[2]))
  end
  if leave_queue(token) and redis.call('EXISTS', queue) == 0 then
    end_queue()
  end
  if mine then
    forget(token)
  end
  pass_on()
  return 0
end
