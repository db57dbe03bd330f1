-- Shared by all scripts: the keys of a name and of its bucket, and the first arguments.
-- docs/stored-data.md specifies what is stored under these keys: format 1.
--
-- KEYS  1 hold     string      "token record" of the only hold of the name; it expires with the
--                              lease, an unconfirmed hand-over some time after it. While it
--                              exists, 2 does not
--       2 holds    sorted set  token -> end of the lease (ms), where the name has several holds
--       3 records  hash        token -> record of each waiter, and of each of several holds;
--                              "lowest limit" -> the lowest of several holds, or a lower number;
--                              "kept until" -> time (ms) until which 3 and 4 are kept for waiters;
--                              "cancelled claims" -> "time token ..." of each claim cancelled
--                              before it arrived, and refused until that time (ms).
--                              While 2 or 4 exists, this key does, too
--       4 queue    list        token of each waiter, in order of arrival
--       5 index    sorted set  "token name" of each live hold of the bucket -> end of its lease
--       6 waited   sorted set  each name of the bucket that has a queue -> its "kept until"
--       7 counter  string      the last fence of the bucket
-- ARGV  1 token

-- Arguments are written as text ('0', not 0): the server would take a fifth of the command's time
-- to convert a number.

local hold, holds, records, queue, index, waited, counter = unpack(KEYS)
local token = ARGV[1]
-- "prefix:{tag}:hold:", which precedes the name, is as long as the counter's key,
-- "prefix:{tag}:fence".
local name = string.sub(hold, #counter + 1)
