-- End the hold that was seen with this token, notify its process, and hand the name over.
--
-- KEYS  1-7 as in keys.lua
-- ARGV  1 as in keys.lua
-- Returns 1, or 0 if that hold has ended or changed since

-- The token of the hold that is listed with this one: a different token if the hold is damaged.
local function token_of_shown(was_listed)
  if only and only.damaged then
    return was_listed and only.token or token
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
  -- Before find_holds(), which lists a damaged hold with another token.
  local was_listed = type(redis.pcall('ZSCORE', index, token .. ' ' .. name)) == 'string'
  find_holds()
  local who = token_of_shown(was_listed)
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
