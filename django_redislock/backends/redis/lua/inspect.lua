-- Who holds the name, and who waits for it.
--
-- KEYS  1-6 as in head.lua
-- ARGV  1-3 as in head.lua (the token is empty)
-- Returns {now (ms), {token, end of the lease (ms), record, ...}, {token, record, ...}}

local holding, waiting = {}, {}
for _, who in ipairs(redis.call('ZRANGEBYSCORE', holds, '(' .. now, '+inf')) do
  table.insert(holding, who)
  table.insert(holding, tonumber(redis.call('ZSCORE', holds, who)))
  table.insert(holding, redis.call('HGET', records, who) or '')
end
for _, who in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  local claim = read_record(who)
  if claim and claim.deadline > now then
    table.insert(waiting, who)
    table.insert(waiting, redis.call('HGET', records, who))
  end
end
return {now, holding, waiting}
