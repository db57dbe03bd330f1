-- End the hold that was seen with this token, notify its process, and hand the name over.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua
-- Returns 1, or 0 if that hold has ended or changed since

-- The token of the hold that is listed with this one: a different token if the hold is damaged.
local function token_of_shown()
  if only and only.damaged then
    -- The index may still list the token of the hold that was there before.
    local listed = redis.pcall('ZSCORE', index, token .. ' ' .. name)
    return type(listed) == 'string' and only.token or token
  elseif not only and string.sub(token, 1, 8) == 'damaged-' then
    for _, who in ipairs(redis.call('ZRANGE', holds, '0', '-1')) do
      if token_of_damage(who) == token then
        return who
      end
    end
  end
  return token
end

local function verb()
  find_holds()
  local who = token_of_shown()
  local seen = hold_of(who)
  if seen then
    unlist(token)
    forget(who)
    if not seen.damaged then
      notify(seen.process, 'lost 1 ' .. who .. ' ' .. name)
    end
  end
  pass_on()
  return seen and 1 or 0
end
