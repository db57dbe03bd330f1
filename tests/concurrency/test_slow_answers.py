"""A server that answers slowly, or not at all: how often an attempt asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from tests.support.places import Place
from tests.support.processes import wait_until
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


def test_a_first_question_that_is_not_answered_is_the_last(
    questions: list[str], proxy: Proxy
) -> None:
    """Also where others have waited, so that the process hears of its turn already."""
    waiter = lock("a", wait=0.2)
    with lock("a", lease=60):
        assert not waiter.acquire()
    assert lock_backends["default"].listening("a")
    wait_until(lambda: not lock_backends["default"].waiters)
    questions.clear()
    proxy.refuse()
    proxy.cut()
    with pytest.raises(LockUnavailable):
        lock("a").acquire(wait=PATIENCE)
    assert questions == ["a"]
    proxy.accept()
