-- The holds of the name, and its waiters.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua, but empty
-- Returns {now (ms), {token, end of the lease (ms), record, ...}, {token, record, ...}}

local function verb()
  find_holds()
  local holding, waiting = {}, {}
  for _, who in ipairs(only and {only.token} or redis.call('ZRANGE', holds, '0', '-1')) do
    local one = hold_of(who)
    for _, part in ipairs({who, one.ends, one.text}) do
      table.insert(holding, part)
    end
  end
  for _, who in ipairs(redis.call('LRANGE', queue, '0', '-1')) do
    local claim = read_record(redis.call('HGET', records, who))
    if claim and claim.ends > now then
      table.insert(waiting, who)
      table.insert(waiting, claim.text)
    end
  end
  return {now, holding, waiting}
end
