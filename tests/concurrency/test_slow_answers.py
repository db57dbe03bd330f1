"""A server that answers slowly: how often an attempt asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from tests.support.places import Place
from tests.support.proxy import Proxy

# Longer than the test may take.
PATIENCE = 60.0


@pytest.fixture
def questions(
    place: Place, proxy: Proxy, use: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The names that were asked for, by the way of the proxy."""
    use(proxy.url, prefix=place.prefix, entry={"PATIENCE": PATIENCE})
    backend, asked = lock_backends["default"], []
    assert isinstance(backend, RedisLockBackend)
    acquire = backend.acquire

    def note(claim: Any, *arguments: Any) -> Any:
        asked.append(claim.name)
        return acquire(claim, *arguments)

    monkeypatch.setattr(backend, "acquire", note)
    return asked


def test_a_wait_that_is_over_with_the_first_answer_asks_no_more(
    questions: list[str], proxy: Proxy
) -> None:
    with lock("a", lease=60):
        questions.clear()
        proxy.delay(0.4)
        assert not lock("a").acquire(wait=0.1)
        proxy.pass_through()
    assert questions == ["a"]
