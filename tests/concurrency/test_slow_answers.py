"""Slow answers, and how many requests an attempt then sends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from django_redislock import LockLost, LockUnavailable, MultiLock, lock, lock_backends, waiting
from django_redislock.backends.base import Grant
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.clock import monotonic
from django_redislock.twins import perform
from django_redislock.waiting import LAST_LOOK
from tests.support.places import Place
from tests.support.proxy import Proxy

# Longer than a test takes.
PATIENCE = 60.0


@pytest.fixture
def questions(
    place: Place, proxy: Proxy, use: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The names that were requested, by way of the proxy."""
    use(proxy.url, prefix=place.prefix, entry={"PATIENCE": PATIENCE})
    backend, asked = lock_backends["default"], []
    assert isinstance(backend, RedisLockBackend)
    acquire = backend.acquire

    def note(claim: Any, *arguments: Any) -> Any:
        asked.append(claim.name)
        return acquire(claim, *arguments)

    monkeypatch.setattr(backend, "acquire", note)
    return asked


def test_a_wait_that_is_over_at_the_first_answer_sends_no_more_requests(
    questions: list[str], proxy: Proxy
) -> None:
    with lock("a", lease=60):
        questions.clear()
        proxy.delay(0.4)
        assert not lock("a").acquire(wait=0.1)
        proxy.pass_through()
    assert questions == ["a"]


def test_a_new_attempt_raises_a_refusal_also_after_a_request_that_was_not_sent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was known to hang, and then answers. The process listens already."""
    said = [("it is known to hang", False), ("it refuses", True)]

    def refuse(*arguments: Any) -> NoReturn:
        text, sent = said.pop(0)
        raise LockUnavailable(text, name="a", asked=sent, sent=sent)

    monkeypatch.setattr(waiting, "LOOK_AT_ABSENT_EVERY", 0.01)
    monkeypatch.setattr(lock_backends["default"], "listening", lambda name: True)
    monkeypatch.setattr(lock_backends["default"], "acquire", refuse)
    with pytest.raises(LockUnavailable, match="it refuses"):
        lock("a").acquire(wait=30)


def test_a_grant_that_comes_after_its_lease_is_not_held(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, handle = lock_backends["default"], lock("a", lease=60)
    acquire = backend.acquire

    def late(*arguments: Any) -> Any:
        grant = acquire(*arguments)
        assert isinstance(grant, Grant)
        return grant._replace(ends=monotonic())

    monkeypatch.setattr(backend, "acquire", late)
    with pytest.raises(LockLost, match="before the reply came"):
        handle.acquire()
    assert not handle.held


def acquired(kind: str, handle: MultiLock, wait: float) -> bool:
    if kind == "thread":
        return handle.acquire(wait=wait)

    async def acquire() -> bool:
        return await handle.aacquire(wait=wait)

    return asyncio.run(acquire())


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("listening", [False, True])
def test_the_second_of_several_names_has_the_rest_of_the_wait(
    use: Callable[..., Any],
    place: Place,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    *,
    listening: bool,
) -> None:
    """It gets no additional second for its own first answer."""
    use(proxy.url, prefix=place.prefix, entry={"PATIENCE": PATIENCE})
    with lock("first") as held:
        releasing = threading.Timer(1.9, held.release)
        both = lock(["first", "second"])
        first, second = both.locks
        begin = second._acquire

        def lose_requests(*arguments: Any) -> Any:
            proxy.black_hole()
            return begin(*arguments)

        monkeypatch.setattr(second, "_acquire", lose_requests)
        if listening:
            monkeypatch.setattr(second.backend, "listening", lambda name: True)
        releasing.start()
        began = time.monotonic()
        assert not acquired(kind, both, 2.0)
        assert time.monotonic() - began < 2.6
        assert not first.held
        proxy.pass_through()
        releasing.join()


def test_without_a_wait_each_of_several_names_is_requested_however_long_it_takes(
    use: Callable[..., Any], place: Place, proxy: Proxy
) -> None:
    use(proxy.url, prefix=place.prefix, entry={"PATIENCE": PATIENCE})
    names = lock([f"name {number}" for number in range(4)])
    with lock("warm"):
        pass
    proxy.delay(0.3)
    assert names.acquire(wait=0)
    proxy.pass_through()
    names.release()


def test_an_error_before_the_wait_is_over_is_raised(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of several names is asked for when the wait is nearly over."""
    handle = lock("second")

    def fail(*_: Any) -> NoReturn:
        raise LockUnavailable("The server refuses connections.")

    monkeypatch.setattr(handle.backend, "acquire", fail)
    began = time.monotonic() - 10 + LAST_LOOK / 4
    with pytest.raises(LockUnavailable):
        perform(handle._acquire, 10.0, began)
