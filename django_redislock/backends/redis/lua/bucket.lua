-- Data that a bucket keeps for all its names: the fence, the index of holds and that of queues.

-- No clock reaches this number: a larger one in the counter is damage.
local HIGHEST_FENCE = 9e15

-- The next fence, as text, above every earlier one. If a restart lost the counter, the clock is
-- above all earlier fences; if the clock was set back, the counter is.
local function next_fence()
  local last = redis.pcall('SET', counter, micros, 'GET')
  if not last or (#last == #micros and last < micros) then
    return micros
  end
  -- An error has no digits; it means a key of another type, which SET alone overwrites.
  local digits = type(last) == 'string' and string.match(last, '^%d+$')
  local number = digits and tonumber(digits)
  local fence = micros
  if number and number >= tonumber(micros) and number < HIGHEST_FENCE then
    fence = string.format('%.0f', number + 1)
  end
  redis.call('SET', counter, fence)
  return fence
end

-- Write to a sorted set of the bucket. One key of another type must not break all its names.
local function put(set, score, member)
  if type(redis.pcall('ZADD', set, score, member)) == 'table' then
    if redis.call('TYPE', set).ok ~= 'zset' then
      redis.call('DEL', set)
    end
    redis.call('ZADD', set, score, member)
  end
end
