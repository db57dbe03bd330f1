-- Records of holds and waiters. A record is
--   "flags at term fence since began limit lease grant process ... holder"
-- where "..." stands for fields of later releases. The part from the limit on is the terms, as they
-- were sent. Times are in milliseconds: the lease, or the stay in the queue, ends `term` after
-- `at`; `grant` is how long a hand-over is valid until it is confirmed.

-- A record as a table, or nil if it is damaged. records.py reads the same records: a hold that one
-- of the two cannot read would be shown with a token by which it cannot be released.
local function read_record(text)
  if type(text) ~= 'string' then
    return nil
  end
  local flags, at, term, fence, since, began, terms, limit, lease, grant, process = string.match(
    text, '^(%d%d%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ((%d+) (%d+) (%d+) ([sp]%w+) .*)$')
  if not flags or #fence > 16 or #limit > 10
      or math.max(#at, #term, #since, #began, #lease, #grant) > 14 then
    return nil
  end
  at, term, limit = tonumber(at), tonumber(term), tonumber(limit)
  lease, grant = tonumber(lease), tonumber(grant)
  if at + term > now + LONGEST or math.max(term, lease, grant) > LONGEST
      or math.min(limit, lease, grant) < 1 then
    return nil
  end
  return {text = text, flags = flags, ends = at + term, term = term, fence = fence, since = since,
    began = began, terms = terms, limit = limit, lease = lease, grant = grant, process = process}
end

-- How long the lease of a hold lasts (ms). If the clock was set back since it began, a renewal must
-- not keep the additional time.
local function left_of(record)
  return math.min(record.ends - now, record.term or LONGEST)
end

-- The three flags: whether the name has waiters, whether the hold was handed over and its waiter
-- has not asked since, and whether it is detached. Flags of later releases follow them.
local function with_flags(record, waits, turn, detached)
  return waits .. turn .. detached .. string.sub(record.flags, 4)
end

local function write_record(flags, term, fence, since, began, terms)
  return flags .. ' ' .. millis .. ' ' .. term .. ' ' .. fence .. ' ' .. since .. ' ' .. began
    .. ' ' .. terms
end
