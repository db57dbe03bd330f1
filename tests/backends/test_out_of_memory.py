"""A server without free memory grants nothing, but holds and waiters need no more of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_redislock import LockUnavailable, lock_backends
from django_redislock.backends.base import Claim, Extension
from django_redislock.testing.driver import LONG, Verbs
from django_redislock.testing.servers import EmbeddedServer
from tests.support.fixtures import UsePlace


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server
        lock_backends["default"].close()


@pytest.mark.parametrize("limit", [1, 2])
def test_holds_are_renewed_handed_over_and_cancelled(
    use: UsePlace, server: EmbeddedServer, limit: int
) -> None:
    place = use(server.url)
    verbs = Verbs(lock_backends["default"], None)
    held = [verbs.claim(limit=limit) for _ in range(limit)]
    for claim in held:
        verbs.hold(claim)
    first, second = verbs.claim(limit=limit), verbs.claim(limit=limit)
    turn = verbs.queue_up(first)
    verbs.queue_up(second)
    with place.client() as client:
        client.config_set("maxmemory", 1)
    assert renewed(verbs, held[0])
    assert verbs.release(held[0])
    turn.turn()
    assert renewed(verbs, first)
    verbs.cancel(second, late=LONG)
    assert verbs.waiting() == []
    with pytest.raises(LockUnavailable, match="used memory"):
        verbs.acquire(verbs.claim("b"))
    assert verbs.release(first)


def renewed(verbs: Verbs, claim: Claim) -> bool:
    return verbs.extend(Extension(claim.name, claim.token, LONG, renewal=True)) is not None
