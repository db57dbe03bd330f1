-- Set the token's lease anew.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1-2 as in keys.lua    3 lease (ms)    4 1 if the lease must not become shorter by it
--       5 1 if the hold is detached from its handle
-- Returns the lease (ms) that is left now, or 0 if the token does not hold the name

local function verb()
  find_holds()
  local mine = hold_of(token)
  if not mine or only then
    return 0
  end
  local lease = tonumber(ARGV[3])
  if ARGV[4] == '1' then
    lease = math.max(lease, mine.ends - now)
  end
  -- Whoever extends it has heard of its turn.
  if not mine.damaged and (ARGV[5] == '1' or string.byte(mine.flags, 2) == 49) then
    local flags = with_flags(mine, string.sub(mine.flags, 1, 1), '0', ARGV[5] == '1' and '1'
      or string.sub(mine.flags, 3, 3))
    redis.call('HSET', records, token, flags .. string.sub(mine.text, #mine.flags + 1))
  end
  redis.call('ZADD', holds, now + lease, token)
  put(index, now + lease, token .. ' ' .. name)
  keep(holds, lease, GRACE)
  keep(records, lease, GRACE)
  return lease
end
