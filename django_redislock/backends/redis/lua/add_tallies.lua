-- Add what a process has counted to the slot of time that now is in.
--
-- KEYS  1 seen     string   there for a minute if this was added already and its reply was lost
--       2 .. slots hashes   take turns; "slot" -> number of the slot; ":family" -> its figures, JSON
-- ARGV  1 length of a slot (s)   2 how many families a slot has room for; ":" is all the others
--       3 ...  family, figures as JSON, family, ...: the first two are the longest, the rest sums
-- Returns how many families were added

if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', 60000) then
  return 0
end

-- The figures of a family as they are stored, or nil if no script wrote them.
local function read(text, length)
  local done, figures = pcall(cjson.decode, text)
  if not done or type(figures) ~= 'table' or #figures ~= length then
    return nil
  end
  for _, figure in ipairs(figures) do
    if type(figure) ~= 'number' or figure < 0 or figure > 2^53 then
      return nil
    end
  end
  return figures
end

local length, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = tonumber(redis.call('TIME')[1])
local number, slots = math.floor(now / length), #KEYS - 1
local slot = KEYS[2 + number % slots]
local kind = redis.call('TYPE', slot).ok
if kind ~= 'hash' or tonumber(redis.call('HGET', slot, 'slot') or '0') ~= number then
  redis.call('DEL', slot)
  redis.call('HSET', slot, 'slot', number)
  redis.call('PEXPIRE', slot, ((number + slots) * length - now) * 1000)
end

for place = 3, #ARGV, 2 do
  local family, figures = ':' .. ARGV[place], cjson.decode(ARGV[place + 1])
  local known = redis.call('HGET', slot, family)
  -- One field is the number of the slot.
  if not known and redis.call('HLEN', slot) > most then
    family = ':'
    known = redis.call('HGET', slot, family)
  end
  known = known and read(known, #figures)
  if known then
    for index, before in ipairs(known) do
      local new = figures[index]
      figures[index] = index <= 2 and math.max(before, new) or before + new
    end
  end
  redis.call('HSET', slot, family, cjson.encode(figures))
end
return (#ARGV - 2) / 2
