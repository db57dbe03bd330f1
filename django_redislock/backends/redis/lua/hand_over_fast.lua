-- End a single hold and hand the name over to the first waiter in its queue, with limit 1 and in
-- this or another process: the common case under contention. Unusual cases, including a damaged
-- record or a process that has ended, are left to the functions below.
--
-- KEYS, ARGV and the reply as in release.lua

-- An unconfirmed hand-over stays stored after its end.
if flags == ' 11' then
  local at, term = string.match(line, '^%d+ (%d+) (%d+) ', #token + 2)
  if not at or #at > 14 or #term > 12 or at + term <= now then
    flags = nil
  end
end
if flags == ' 10' or flags == ' 11' then
  local who, next_one = unpack(redis.pcall('LRANGE', queue, '0', '1'))
  local claim = who and redis.pcall('HGET', records, who)
  local at, term, rest, began, lease, grant, process = string.match(
    claim and #claim > 0 and claim or '',
    '^%d%d%d+ (%d+) (%d+) %d+ %d+ ()(%d+) 1 ([1-9]%d*) ([1-9]%d*) ([sp]%w+) ')
  -- Numbers with more digits, and a token with a blank, are damaged.
  if at and #at < 15 and #term < 14 and at + term > now and #began < 15 and #lease < 13
      and #grant < 13 and not string.find(who, ' ', 1, true) then
    local last = redis.pcall('SET', counter, micros, 'GET')
    if last and #last == #micros and last < micros then
      local ends = string.format('%d', now + grant)
      local is_here = process == ARGV[2]
      -- If the index is not a sorted set, the slow path replaces it.
      if type(redis.pcall('ZREM', index, token .. ' ' .. name)) == 'number' and (is_here
          or notify(process, 'turn 3 ' .. who .. ' ' .. micros .. ' ' .. ends .. ' ' .. name) > 0)
      then
        redis.call('LPOP', queue)
        redis.call('HDEL', records, who)
        -- The rest is the claim's: when it began, and its terms. Kept for ten times the grant, as
        -- in grant().
        redis.call('SET', hold, who .. (next_one and ' 110 ' or ' 010 ') .. millis .. ' ' .. grant
          .. ' ' .. micros .. ' ' .. millis .. ' ' .. string.sub(claim, rest), 'PX', grant .. '0')
        redis.call('ZADD', index, ends, who .. ' ' .. name)
        if not next_one then
          redis.call('HDEL', records, 'kept until')
          redis.pcall('ZREM', waited, name)
        end
        return is_here and '1 ' .. who .. ' ' .. micros .. ' ' .. ends or 1
      end
    elseif type(last) == 'string' then
      redis.call('SET', counter, last)
    end
  end
end
