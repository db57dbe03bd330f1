-- Add the figures of a process to the current time slot and to the current minute.
--
-- KEYS  1 seen     string   set for a minute, so that a batch whose reply was lost counts once
--       2 minutes  hash     minute number modulo the number of minutes -> JSON: the minute number,
--                           then the figures of all families
--       3 .. slots hashes   used in turn; "slot" -> slot number; ":family" -> its figures as JSON
-- ARGV  1 length of a slot (s)   2 maximum number of families in a slot; ":" sums up the others
--       3 length of a minute (s)   4 number of minutes   5 figures of all families as JSON
--       6 ...  family, figures as JSON, family, ...: the first two figures are maxima, the rest sums
-- Returns the number of families added

if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', 60000) then
  return 0
end

-- Return the figures in a field, or nil if no script wrote the field.
local function read(text, length)
  local done, figures = pcall(cjson.decode, text or '')
  if not done or type(figures) ~= 'table' or #figures ~= length then
    return nil
  end
  for _, figure in ipairs(figures) do
    -- The encoder writes 14 digits.
    if type(figure) ~= 'number' or figure < 0 or figure >= 1e14 or figure % 1 ~= 0 then
      return nil
    end
  end
  return figures
end

-- Merge known figures, which begin at index `first` of their list, into `figures`.
local function add(figures, known, first)
  for index, new in ipairs(figures) do
    local before = known[first + index - 1]
    figures[index] = index <= 2 and math.max(before, new) or before + new
  end
end

-- Return whether the key is a hash. Delete a key of any other type.
local function has_hash(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' then
    redis.call('DEL', key)
  end
  return kind == 'hash'
end

local now = tonumber(redis.call('TIME')[1])

local length, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local number, all = math.floor(now / length), cjson.decode(ARGV[5])
local minutes, turn = KEYS[2], number % most
local known = has_hash(minutes) and read(redis.call('HGET', minutes, turn), #all + 1)
if known and known[1] == number then
  add(all, known, 2)
end
table.insert(all, 1, number)
redis.call('HSET', minutes, turn, cjson.encode(all))
redis.call('PEXPIRE', minutes, ((number + most) * length - now) * 1000)

length, most = tonumber(ARGV[1]), tonumber(ARGV[2])
number = math.floor(now / length)
local slots = #KEYS - 2
local slot = KEYS[3 + number % slots]
if not has_hash(slot) or tonumber(redis.call('HGET', slot, 'slot') or '0') ~= number then
  redis.call('DEL', slot)
  redis.call('HSET', slot, 'slot', number)
  redis.call('PEXPIRE', slot, ((number + slots) * length - now) * 1000)
end

for place = 6, #ARGV, 2 do
  local family, figures = ':' .. ARGV[place], cjson.decode(ARGV[place + 1])
  local text = redis.call('HGET', slot, family)
  -- One of the fields is the slot number.
  if not text and redis.call('HLEN', slot) > most then
    family = ':'
    text = redis.call('HGET', slot, family)
  end
  known = read(text, #figures)
  if known then
    add(figures, known, 1)
  end
  redis.call('HSET', slot, family, cjson.encode(figures))
end
return (#ARGV - 5) / 2
