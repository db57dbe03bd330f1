-- Records of holds and waiters. A record is
--   "flags at term fence since began limit lease process ... holder"
-- where "..." stands for fields of later releases, and the last six, as they were sent, are its
-- terms. Times are in milliseconds: `term` after `at` the lease, or the stay in the queue, ends.

-- A century and more: what ends later than that was not written by a script.
local LONGEST = 3.2e12

-- A record as a table, or nil if it is damaged.
local function read_record(text)
  if type(text) ~= 'string' then
    return nil
  end
  local flags, at, term, fence, since, began, terms, limit, lease, process = string.match(text,
    '^(%d%d%d+) (%d+) (%d+) (%d+) (%d+) (%d+) ((%d+) (%d+) ([sp]%w+) .*)$')
  if not flags or #fence > 16 or #since > 15 or #began > 15 or #limit > 10 then
    return nil
  end
  at, term, limit, lease = tonumber(at), tonumber(term), tonumber(limit), tonumber(lease)
  if at + term > now + LONGEST or lease > LONGEST or limit < 1 then
    return nil
  end
  return {text = text, flags = flags, ends = at + term, fence = fence, since = since,
    began = began, terms = terms, limit = limit, lease = lease, process = process}
end

-- The three flags: whether somebody waits for the name, whether the hold was handed over and its
-- waiter has not asked since, and whether it is detached. Flags of later releases follow them.
local function with_flags(record, waits, turn, detached)
  return waits .. turn .. detached .. string.sub(record.flags, 4)
end

local function write_record(flags, term, fence, since, began, terms)
  return flags .. ' ' .. millis .. ' ' .. term .. ' ' .. fence .. ' ' .. since .. ' ' .. began
    .. ' ' .. terms
end
