-- What a verb that hands over sets: how long (ms) a hand-over holds before it is confirmed, and the
-- process that is asking, if the reply can bring its waiters their turns.
local grant_lease, here
