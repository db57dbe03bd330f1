"""Crowd of live locks, written in the scripts' format, but in batches of thousands."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

from redis import Redis

from django_redislock.backends.redis.keys import bucket_keys, bucket_of

__all__ = ["fill"]

HOLDER = json.dumps(
    {"host": "web-1", "pid": 7, "thread": "main", "what": "shop", "label": "", "started": 0}
)
CHUNK = 500

# KEYS: the index of a bucket. ARGV: its tag, the holder, the first lease (ms), then the token,
# number and name of each lock. A lock with a higher number has a longer lease.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for place = 4, #ARGV, 3 do
  local token, number, name = ARGV[place], tonumber(ARGV[place + 1]), ARGV[place + 2]
  local lease = ARGV[3] + number
  local fence = string.format('%.0f', time[1] * 1000000 + number)
  local parts = {token, '000', now, lease, fence, now, now, 1, lease, 2000, 'p0', ARGV[2]}
  redis.call('SET', ARGV[1] .. ':hold:' .. name, table.concat(parts, ' '), 'PX', lease)
  redis.call('ZADD', KEYS[1], now + lease, token .. ' ' .. name)
end
"""


def fill(client: Redis, prefix: str, numbers: Iterable[int], *, lease: float = 600) -> None:
    """Hold ``order:N`` for each of the numbers. ``lease`` (seconds) grows by 1 ms per number."""
    run = client.register_script(SCRIPT)
    numbers = iter(numbers)
    while some := list(islice(numbers, 16 * CHUNK)):
        buckets: dict[int, list[str | int]] = defaultdict(list)
        for number in some:
            name = f"order:{number}"
            buckets[bucket_of(name)] += [os.urandom(16).hex(), number, name]
        pipe = client.pipeline(transaction=False)
        for bucket, arguments in buckets.items():
            keys = bucket_keys(prefix, bucket)
            run([keys.listed], [keys.tag, HOLDER, int(lease * 1000), *arguments], client=pipe)
        pipe.execute()
