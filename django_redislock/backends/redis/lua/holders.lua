-- The holds of the name: none, one under `hold`, or several in `holds`.

-- The record of the only hold, with its token; the number of holds; and whether `hold` contains a
-- hold that has ended.
local only, count, stale = nil, 0, false

local function keep(key, ms, grace)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, ms + grace)
  end
end

-- A token under which an unreadable hold is listed, and can be released.
local function token_of_damage(text)
  return 'damaged-' .. redis.sha1hex(text)
end

-- How many entries of the index are searched for those of a name. More would hold up the server.
local SEARCHED = 10000

-- The hold that was damaged may still be listed with its own token, which is unknown.
local function unlist_name()
  for _, member in ipairs(redis.pcall('ZRANGE', index, '0', SEARCHED - 1)) do
    if string.match(member, ' (.*)$') == name then
      redis.call('ZREM', index, member)
    end
  end
end

-- `hold` contains an unreadable value. The name stays busy until that expires or is released by
-- force. The value gets an expiry if it has none, and is listed.
local function read_damaged(found)
  local left = redis.call('PTTL', hold)
  if left == -2 then
    return nil
  elseif left < 0 or left > LONGEST then
    left = GRACE
    redis.call('PEXPIRE', hold, left)
  end
  local who = token_of_damage(type(found) == 'string' and found or '')
  if type(redis.pcall('ZSCORE', index, who .. ' ' .. name)) ~= 'string' then
    unlist_name()
  end
  put(index, now + left, who .. ' ' .. name)
  return {damaged = true, token = who, text = '', flags = '000', ends = now + left, limit = 1}
end

local function read_hold(found)
  local who, text
  if type(found) == 'string' then
    who, text = string.match(found, '^([!-~]+) (.*)$')
  end
  local record = read_record(text)
  if not record then
    return read_damaged(found)
  end
  record.token = who
  return record
end

local function unlist(who)
  redis.pcall('ZREM', index, who .. ' ' .. name)
end

-- End one hold. `hold` itself is deleted by pass_on(), unless the next hold overwrites it.
local function forget(who)
  unlist(who)
  if only then
    only, count, stale = nil, 0, true
  else
    redis.call('HDEL', records, who)
    count = count - redis.call('ZREM', holds, who)
  end
end

-- The processes that were given a turn and let it lapse unconfirmed. They may be frozen.
local silent = {}

local function note_silence(record)
  if record and string.sub(record.flags, 2, 2) == '1' then
    silent[record.process] = true
  end
end

-- Find the holds of the name, and drop expired ones.
local function find_holds(found)
  only, count, stale, silent = nil, 0, false, {}
  found = found or redis.pcall('GET', hold)
  if type(found) == 'table' and redis.call('TYPE', hold).ok == 'string' then
    error(found.err) -- the type is right: something else is wrong
  end
  if found then
    only = read_hold(found)
    count = only and 1 or 0
    -- An unconfirmed hand-over stays stored after its end, and the clock may have advanced since
    -- the server found the key alive.
    if only and only.ends <= now then
      note_silence(only)
      forget(only.token)
    end
  end
  if not only then
    for _, who in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
      note_silence(read_record(redis.call('HGET', records, who)))
      forget(who)
    end
    -- No hold lasts for ever, even if a foreign client wrote such a score.
    for _, who in ipairs(redis.call('ZRANGEBYSCORE', holds, now + LONGEST, '+inf')) do
      redis.call('ZADD', holds, now + GRACE, who)
    end
    count = redis.call('ZCARD', holds)
  end
end

-- The record of the token's hold, or nil if it has none. A damaged record has only a limit.
local function hold_of(who)
  if only then
    return only.token == who and only or nil
  end
  local ends = count > 0 and redis.call('ZSCORE', holds, who)
  if not ends then
    return nil
  end
  local record = read_record(redis.call('HGET', records, who))
    or {damaged = true, text = '', flags = '000', limit = 1, since = millis, began = millis}
  record.token, record.ends = who, math.floor(math.min(tonumber(ends), now + LONGEST))
  return record
end
