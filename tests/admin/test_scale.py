"""Cost of the first page among many locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from benchmarks.crowd import fill
from django_redislock import lock_backends
from django_redislock.backends.redis.wire.node import Node
from django_redislock.backends.redis.wire.replies import Replies
from tests.admin.pages import names, page
from tests.management.holds import hold, is_held

pytestmark = pytest.mark.django_db


def test_the_filled_data_is_like_that_of_the_scripts(redis_url: str, key_prefix: str) -> None:
    with Redis.from_url(redis_url) as client:
        fill(client, key_prefix, range(1))
        (filled,) = lock_backends["default"].inspect("order:0")[0]
        assert not filled.damaged
        assert filled.holder.host == "web-1"
        assert lock_backends["default"].release("order:0", filled.token)
        assert hold("order:0", "default")
        assert not is_held("order:0", filled.token, "default")


@pytest.mark.parametrize("query", [{}, {"o": "-ttl"}], ids=["soonest", "latest"])
def test_the_first_page_sends_no_more_commands_among_many_locks(
    admin_client: Client,
    redis_url: str,
    key_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, Any],
) -> None:
    sent: list[str] = []
    original = Node.exchange

    def counted(node: Node, commands: Sequence[bytes], within: float | None = None) -> Replies:
        sent.extend(command.split(b"\r\n")[2].decode() for command in commands)
        return original(node, commands, within)

    monkeypatch.setattr(Node, "exchange", counted)
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
    # The last page is found by halving the time in which leases end.
    assert counts[1] <= counts[0] + 16 * 6
