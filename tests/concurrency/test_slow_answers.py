"""Slow answers, and how many requests an attempt then sends."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from django_redislock import LockLost, LockUnavailable, MultiLock, lock, lock_backends, waiting
from django_redislock.backends.base import Claim, Grant, Holder
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.clock import monotonic
from django_redislock.twins import perform
from django_redislock.waiting import LAST_LOOK, TOLERANCE, wait_for_grant
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.settled import settle

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


def test_a_name_that_is_asked_for_when_the_wait_is_over_has_time_for_its_answer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other names of the same attempt have used up the wait."""
    backend, limits = lock_backends["default"], []
    acquire = backend.acquire

    def note(claim: Claim, stay: float, within: float) -> Any:
        limits.append(within)
        return acquire(claim, stay, within)

    monkeypatch.setattr(backend, "acquire", note)
    claim = Claim("a", "token", 1, 30, Holder().pack())
    assert isinstance(perform(wait_for_grant, backend, claim, monotonic() - 2.0, 2.0), Grant)
    assert limits[0] > TOLERANCE


def test_a_last_request_without_an_answer_may_still_arrive(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*arguments: Any) -> NoReturn:
        raise LockUnavailable("no answer", name="a", asked=True, sent=True)

    backend, claim = lock_backends["default"], Claim("a", "token", 1, 30, Holder().pack())
    monkeypatch.setattr(backend, "acquire", unanswered)
    assert perform(wait_for_grant, backend, claim, monotonic() - 2.0, 2.0) is None
    assert claim.unanswered


def test_the_first_second_is_for_the_first_answer_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later request of a shorter wait must be answered by its deadline."""
    backend, asked = lock_backends["default"], []
    acquire, wait = backend.acquire, 0.5

    def note(claim: Claim, stay: float, within: float) -> Any:
        began = monotonic()
        reply = acquire(claim, stay, within)
        asked.append((began, within, monotonic()))
        return reply

    with lock("a", lease=60):
        monkeypatch.setattr(backend, "acquire", note)
        assert not lock("a").acquire(wait=wait)
    began, *_ = asked[0]
    assert len(asked) > 2
    for (*_, answered), (_, within, _) in itertools.pairwise(asked[1:]):
        assert within <= began + wait + TOLERANCE - answered


def test_a_wait_during_which_an_answer_failed_ends_like_any_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, requests = lock_backends["default"], itertools.count(1)
    acquire = backend.acquire

    def fail_once(*arguments: Any) -> Any:
        if next(requests) == 3:
            raise LockUnavailable("no answer", name="a", asked=True, sent=True)
        return acquire(*arguments)

    with lock("a", lease=60):
        monkeypatch.setattr(backend, "acquire", fail_once)
        assert not lock("a").acquire(wait=0.6)
    assert next(requests) < 10


def test_a_wait_repeats_its_request_before_it_loses_its_place(
    questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request keeps its place for an hour. Other waiters may be asked to look in its stead."""
    monkeypatch.setattr(waiting, "LONGEST_STAY", 0.4)
    monkeypatch.setattr(lock_backends["default"].wakeups, "watch", lambda *arguments: None)
    waits = lock("a", wait=300)
    with ThreadPoolExecutor(1) as threads:
        with lock("a", lease=3600):
            questions.clear()
            granted = threads.submit(waits.acquire)
            wait_until(lambda: len(questions) > 5)
        assert granted.result(30)
    waits.release()


def test_an_attempt_that_gives_up_leaves_the_queue_even_if_its_last_request_was_not_sent(
    use: Callable[..., Any], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(redis_url, entry={"PATIENCE": 0.3})
    backend = lock_backends["default"]
    acquire = backend.acquire

    def refuse_once_queued(*arguments: Any) -> Any:
        if backend.inspect("a")[1]:
            raise LockUnavailable("it is known to be away", name="a", asked=False, sent=False)
        reply = acquire(*arguments)
        backend.waiters.nudge_all()
        return reply

    with lock("a", lease=60):
        monkeypatch.setattr(backend, "acquire", refuse_once_queued)
        with pytest.raises(LockUnavailable):
            lock("a").acquire(wait=30)
        settle()
        assert backend.inspect("a")[1] == []


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
