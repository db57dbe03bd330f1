-- What all scripts share: their keys and arguments, the clock, and the numbers that rise.
--
-- KEYS  1 holds    sorted set   token -> end of the lease (ms)
--       2 records  hash         token -> "fence since limit lease process deadline holder" of each
--                               who holds or waits; "lowest limit" -> that of all holders
--       3 queue    sorted set   token -> arrival number
--       4 index    sorted set   "token name" of every live hold of the bucket -> end of the lease
--       5 counter  string       the last fence or arrival number of the bucket
-- ARGV  1 token    2 name       3 grant lease (ms): how long a hand-over holds unconfirmed

local holds, records, queue, index, counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, name, grant_lease = ARGV[1], ARGV[2], tonumber(ARGV[3])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The keys of a name outlive its holds a little, so that what expired is found and tidied up.
local GRACE = 60000

-- Above every number given before, also after a restart that forgot the counter: the clock is
-- above them all, and where the clock was set back the counter is.
local function next_number()
  local last = tonumber(redis.call('GET', counter) or '0')
  local number = math.max(last + 1, time[1] * 1000000 + time[2])
  redis.call('SET', counter, string.format('%.0f', number))
  return number
end

local function pack(fence, since, limit, lease, process, deadline, holder)
  return string.format('%.0f %.0f %d %d %s %.0f %s',
    fence, since, limit, lease, process, deadline, holder)
end
