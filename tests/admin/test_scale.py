"""The first page costs the same among many locks as among few."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from django_redislock import lock_backends
from django_redislock.backends.redis.connections import Connections
from django_redislock.keys import name_keys
from tests.admin.pages import names, page
from tests.management.holds import hold, is_held

pytestmark = pytest.mark.django_db


def fill(client: Redis, prefix: str, numbers: range) -> None:
    """Live holds as the scripts write them, but by the thousand; the later, the longer."""
    seconds, micros = client.time()
    now = seconds * 1000 + micros // 1000
    holder = json.dumps({"host": "web-1", "pid": 7, "thread": "main", "what": "shop", "label": ""})
    pipe = client.pipeline(transaction=False)
    for number in numbers:
        name, token = f"order:{number}", secrets.token_hex(16)
        keys, ends = name_keys(prefix, name), now + 600_000 + number
        record = f"{now * 1000 + number} {now} 1 {600_000 + number} p0 0 {holder}"
        pipe.set(keys.alone, f"{token} {ends} {record}", pxat=ends)
        pipe.zadd(keys.listed, {f"{token} {name}": ends})
    pipe.execute()


def test_the_layout_is_that_of_the_scripts(redis_url: str, key_prefix: str) -> None:
    with Redis.from_url(redis_url) as client:
        fill(client, key_prefix, range(1))
        (filled,) = lock_backends["default"].inspect("order:0")[0]
        assert lock_backends["default"].release("order:0", filled.token)
        assert hold("order:0", "default")
        assert not is_held("order:0", filled.token, "default")


@pytest.mark.parametrize("query", [{}, {"o": "-ttl"}], ids=["soonest", "latest"])
def test_the_first_page_asks_no_more_among_many_than_among_few(
    admin_client: Client,
    redis_url: str,
    key_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, Any],
) -> None:
    sent: list[str] = []
    original = Connections.send_all

    def counted(self: Connections, commands: Sequence[bytes]) -> tuple[list[Any], bool]:
        sent.extend(str(command[0]) for command in commands)
        return original(self, commands)

    monkeypatch.setattr(Connections, "send_all", counted)
    counts = []
    with Redis.from_url(redis_url) as client:
        for numbers in (range(400), range(400, 10_000)):
            fill(client, key_prefix, numbers)
            sent.clear()
            shown = names(page(admin_client, backend="default", **query))
            assert len(shown) == 100
            counts.append(len(sent))
    assert "SCAN" not in sent
    assert "KEYS" not in sent
    # From the other end the place is found by halving, over the time in which leases end.
    assert counts[1] <= counts[0] + 16 * 6
