-- What all scripts share: their keys and first arguments.
--
-- KEYS  1 alone    string       "token end record" of the only hold of a name that nobody waits for;
--                               it ends with the lease, and while it is there, 2 to 4 are not
--       2 holds    sorted set   token -> end of the lease (ms)
--       3 records  hash         token -> "fence since limit lease process deadline holder" of each
--                               who holds or waits; "lowest limit" -> that of all holders. The
--                               deadline is the end of the wait, or 0 once an acquire was answered
--                               with the hold: a turn is told to the waiter, and is no answer
--       4 queue    sorted set   token -> arrival number
--       5 index    sorted set   "token name" of every live hold of the bucket -> end of the lease
--       6 counter  string       the last fence or arrival number of the bucket
-- ARGV  1 token    2 name       3 grant lease (ms): how long a hand-over holds unconfirmed

local alone, holds, records, queue, index, counter = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local token, name = ARGV[1], ARGV[2]

-- What `alone` holds, asked for once: a line, or false if there is none.
local line
