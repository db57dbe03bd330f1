-- What all scripts share: the keys of a name and of its bucket, and the first arguments.
-- docs/stored-data.md specifies what is stored under these keys: format 1.
--
-- KEYS  1 hold     string      "token record" of the only hold of the name; it expires with the
--                              lease, and while it exists, 2 does not
--       2 holds    sorted set  token -> end of the lease (ms), where the name has several holds
--       3 records  hash        token -> record of each waiter, and of each of several holds;
--                              "lowest limit" -> the lowest of several holds, or a lower number;
--                              "kept until" -> time (ms) until which 3 and 4 are kept for waiters;
--                              "cancelled" -> "time token ..." of each claim that was cancelled
--                              before it came here, and is refused until that time (ms).
--                              While 2 or 4 exists, this does, too
--       4 queue    sorted set  token of each waiter -> arrival number
--       5 index    sorted set  "token name" of each live hold of the bucket -> end of its lease
--       6 waited   sorted set  each name of the bucket that has a queue -> its "kept until"
--       7 counter  string      the last fence of the bucket
-- ARGV  1 token    2 name

local hold, holds, records, queue = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local index, waited, counter = KEYS[5], KEYS[6], KEYS[7]
local token, name = ARGV[1], ARGV[2]
