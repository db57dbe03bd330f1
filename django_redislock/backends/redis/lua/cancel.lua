-- Take a claim back, whether it waits, holds, or has not arrived yet.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua    2 how long a late acquire may come (ms), and is refused, or 0
--       3 1 to leave alone a hold that an acquire was answered with
-- Returns 0

-- Let an acquire with this token be refused. There may be thousands of marks, so that they are not
-- read one by one: those whose time is over are dropped from the beginning, where the oldest are,
-- and with them what was marked before the clock was set back, and damage.
local function mark_cancelled(late)
  local before = redis.call('HGET', records, 'cancelled claims') or ''
  local start, until_, rest = 1, nil, nil
  repeat
    start = rest or start
    until_, rest = string.match(before, '^(%d+) %S+ ?()', start)
    until_ = until_ and tonumber(until_)
  until not until_ or (until_ > now and until_ <= now + late + GRACE)
  local marks = (now + late) .. ' ' .. token
  if until_ then
    marks = string.sub(before, start) .. ' ' .. marks
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
