-- Take a claim back, whether it waits, holds, or has not arrived yet.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua    2 how long to refuse an acquire that arrives late (ms), or 0
--       3 1 to leave a hold alone if the reply to an acquire has reported it
-- Returns 0

-- Refuse later acquires with this token. There may be thousands of marks, so they are not all read:
-- expired marks are dropped from the beginning, where the oldest are, along with damaged marks and
-- marks made before the clock was set back.
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
  -- First, for a server without free memory, as in extend_fast.lua.
  redis.call('HDEL', records, token)
  if ARGV[2] ~= '0' then
    mark_cancelled(tonumber(ARGV[2]))
  end
  if redis.call('LREM', queue, '0', token) > 0 and redis.call('EXISTS', queue) == 0 then
    end_queue()
  end
  if mine then
    forget(token)
  end
  pass_on()
  return 0
end
