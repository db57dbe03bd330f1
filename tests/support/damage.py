"""Random damage to the data in Redis."""

from __future__ import annotations

import os
import random

from redis import Redis

__all__ = ["Chance", "damage", "damage_some", "examples"]

JUNK = [
    *(b"", b" ", b"junk", b"\xff\xfe", b"{", b"[]", b"-1", b"nan", b"inf", b"1e30", b"0"),
    *(b"9223372036854775808", b"9007199254740991", b"1 2 3", b"[" * 5000, b"a\nb\0c"),
    b'000 1 2 3 4 5 1 7 7 p0 {"pid":1e400}',
    b"token 000 9999999999999 9999999999999 9 9 9 0 9 9 p0 {}",
]
SCORES = [float("inf"), float("-inf"), 1e30, 2.0**63, -1.0, 0.0, 1.5]


class Chance(random.Random):
    """Random choices of what to damage and how, reproducible by their seed."""

    def junk(self) -> bytes:
        return self.choice([*JUNK, self.randbytes(self.randrange(60))])

    def edited(self, line: bytes) -> bytes:
        """Return the line with a field or byte replaced, truncated, or replaced as a whole."""
        kind = self.choice(["field", "field", "cut", "junk", "byte"])
        if kind == "junk" or not line:
            return self.junk()
        place = self.randrange(len(line))
        if kind == "cut":
            return line[:place]
        if kind == "byte":
            return line[:place] + self.randbytes(self.randrange(3)) + line[place + 1 :]
        fields = line.split(b" ")
        fields[self.randrange(len(fields))] = self.junk()
        return b" ".join(fields)


def damage(client: Redis, key: bytes, chance: Chance) -> None:
    """Change the value of the key, or replace it, without an expiry."""
    kind = client.type(key)
    match chance.choice(["edit"] * 6 + ["string", "list", "set", "persist", "delete"]):
        case "persist":
            client.persist(key)
        case "delete":
            client.delete(key)
        case "string":
            client.set(key, chance.junk())
        case "list":
            client.delete(key)
            client.rpush(key, chance.junk())
        case "set":
            client.delete(key)
            client.sadd(key, chance.junk())
        case _:
            edit(client, key, kind, chance)


def edit(client: Redis, key: bytes, kind: bytes, chance: Chance) -> None:
    """Change one part of the key's value."""
    if kind == b"string":
        client.set(key, chance.edited(client.get(key)), keepttl=chance.random() < 0.5)
    elif kind == b"hash":
        field = chance.choice(sorted(client.hkeys(key)))
        client.hset(key, field, chance.edited(client.hget(key, field)))
    elif kind == b"list":
        tokens = client.lrange(key, 0, -1)
        place = chance.randrange(len(tokens))
        if chance.random() < 0.5:
            client.rpush(key, tokens[place])
        else:
            client.lset(key, place, chance.edited(tokens[place]))
    elif kind == b"zset":
        member = chance.choice(client.zrange(key, 0, -1))
        member = chance.choice([member, chance.edited(member)])
        client.zadd(key, {member: chance.choice(SCORES)})


def damage_some(client: Redis, prefix: str, chance: Chance, *, spared: str) -> list[bytes]:
    """Damage one or two keys, but not the hold of the name that is spared; return them."""
    keys = sorted(client.scan_iter(match=f"{prefix}:*", count=1000))
    keys = [key for key in keys if not key.endswith(f":hold:{spared}".encode())]
    chosen = chance.sample(keys, chance.randint(1, 2))
    for key in chosen:
        damage(client, key, chance)
    return chosen


def examples(number: int) -> int:
    """Return how many examples a test of damage tries."""
    return int(os.environ.get("REDISLOCK_DAMAGE_EXAMPLES", number))
