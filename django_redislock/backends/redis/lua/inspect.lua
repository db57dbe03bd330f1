-- The holds of the name, and its queue. The caller reads the records of the waiters: there may be
-- thousands, and meanwhile the server serves nobody else.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua, but empty
-- Returns {now (ms), {token, end of the lease (ms), record, ...}, {token, ...} of the queue,
--         {record, or nil, ...} of the queue}

-- Lua can pass only some thousand arguments at a time.
local AT_ONCE = 1000

local function verb()
  find_holds()
  local holding = {}
  for _, who in ipairs(only and {only.token} or redis.call('ZRANGE', holds, '0', '-1')) do
    local one = hold_of(who)
    for _, part in ipairs({who, one.ends, one.text}) do
      table.insert(holding, part)
    end
  end
  local waiting, claims = redis.call('LRANGE', queue, '0', '-1'), {}
  for first = 1, #waiting, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #waiting)
    for _, text in ipairs(redis.call('HMGET', records, unpack(waiting, first, last))) do
      table.insert(claims, text)
    end
  end
  return {now, holding, waiting, claims}
end
