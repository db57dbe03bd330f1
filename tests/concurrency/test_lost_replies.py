"""The script ran, and its reply was lost: nobody is told "busy", and no stranger holds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from django_redislock import LockLost, LockUnavailable, lock, lock_backends
from django_redislock.backends.base import Claim, Grant, Holder
from django_redislock.backends.redis.scripts import ACQUIRE, CANCEL, EXTEND, RELEASE
from tests.support.fixtures import UsePlace
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.settled import settle

# Seconds. Nothing waits for so long but where the server is silent.
TIMEOUT = 10.0
SILENCE = 1.5


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Call a verb of a handle, as a thread or as a coroutine does."""
    if request.param == "sync":
        yield lambda handle, verb, *args: getattr(handle, verb)(*args)
        return
    loop = asyncio.new_event_loop()
    yield lambda handle, verb, *args: loop.run_until_complete(getattr(handle, f"a{verb}")(*args))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def behind(proxy: Proxy, use: UsePlace) -> Any:
    """Locks behind the proxy; the scripts are known to the server."""
    return _behind(proxy, use, TIMEOUT)


@pytest.fixture
def behind_silence(proxy: Proxy, use: UsePlace) -> Any:
    """The same for those who wait until a server has not answered for too long."""
    return _behind(proxy, use, SILENCE)


def _behind(proxy: Proxy, use: UsePlace, timeout: Any, **entry: Any) -> Any:
    use(proxy.url, entry=entry, cache={"OPTIONS": {"SOCKET_TIMEOUT": timeout}})
    backend = lock_backends["default"]
    held = lock("warm")
    held.acquire()
    held.extend()
    held.release()
    backend.cancel("warm", "nobody")
    return proxy


def nothing_is_left(name: str = "a") -> bool:
    settle()
    try:
        return lock_backends["default"].inspect(name) == ([], [])
    except LockUnavailable:  # that the server is back has to be found out first
        return False


def is_waited_for_by(number: int) -> bool:
    return len(lock_backends["default"].inspect("a")[1]) == number


def hand_over_with_a_lost_reply(proxy: Proxy, do: Any, handle: Any, waiter: Any) -> Any:
    """Acquire, and release while the waiter queues. Returns the waiter's thread."""
    do(handle, "acquire", 0)
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(partial(is_waited_for_by, 1))
    proxy.drop_next_reply(RELEASE.sha)
    do(handle, "release")
    return thread


def test_acquire_finds_its_own_hold(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    lost = behind.drop_next_reply(ACQUIRE.sha)
    assert do(handle, "acquire", 0) is True
    assert lost.fired
    (hold,), _ = lock_backends["default"].inspect("a")
    assert (hold.token, hold.fence) == (handle.token, handle.fence)
    do(handle, "release")
    assert nothing_is_left()


def test_acquire_without_any_reply_holds_nothing(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    for _ in range(2):
        behind.drop_next_reply(ACQUIRE.sha)
    with pytest.raises(LockUnavailable) as caught:
        do(handle, "acquire", 0)
    assert caught.value.__cause__ is not None
    assert not handle.held
    assert nothing_is_left()


def test_a_waiter_keeps_its_place(behind: Any, do: Any) -> None:
    held, waiter = lock("a"), lock("a", lease=30)
    held.acquire()
    held.backend.listen("a", 10)  # so that the first question already queues
    lost = behind.drop_next_reply(ACQUIRE.sha)

    def let_go() -> None:
        lost.wait()
        wait_until(lambda: len(held.backend.inspect("a")[1]) == 1)
        held.release()

    thread = threading.Thread(target=let_go)
    thread.start()
    assert do(waiter, "acquire", 30)
    thread.join()
    do(waiter, "release")
    assert nothing_is_left()


def test_release_is_done(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind.drop_next_reply(RELEASE.sha)
    do(handle, "release")
    assert nothing_is_left()


def test_release_without_any_reply_is_unavailable_and_done(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    for _ in range(2):
        behind.drop_next_reply(RELEASE.sha)
    with pytest.raises(LockUnavailable):
        do(handle, "release")
    assert not handle.held
    assert nothing_is_left()


def test_release_that_did_not_arrive_is_sent_again_in_the_background(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    for _ in range(2):
        behind.drop_next_request(RELEASE.sha)
    with pytest.raises(LockUnavailable):
        do(handle, "release")
    assert nothing_is_left()


def test_a_lost_release_does_not_end_the_next_hold(behind: Any, do: Any) -> None:
    """The second try of a release comes when the name has a new holder."""
    handle, waiter = lock("a", lease=30), lock("a", wait=30)
    hand_over_with_a_lost_reply(behind, do, handle, waiter).join()
    waiter.check()
    assert waiter.owned()
    waiter.release()
    assert nothing_is_left()


def test_a_turn_in_a_lost_reply_is_made_up_for(proxy: Proxy, use: UsePlace, do: Any) -> None:
    """The waiter of the same process is told by the reply, which comes but once."""
    _behind(proxy, use, TIMEOUT, OPTIONS={"grant_lease": 40})
    handle, waiter = lock("a", lease=60), lock("a", wait=50)
    hand_over_with_a_lost_reply(proxy, do, handle, waiter).join(20)
    assert waiter.held, "before it would have looked by itself"
    waiter.release()


def test_it_is_made_up_for_whoever_of_them_has_looked_last(
    proxy: Proxy, use: UsePlace, do: Any
) -> None:
    """Asked alone, another one finds it busy; whose turn it is would lose it, and its place."""
    _behind(proxy, use, TIMEOUT, OPTIONS={"grant_lease": 40})
    handle, served = lock("a", lease=60), list[int]()
    do(handle, "acquire", 0)

    def wait_in_line(number: int) -> None:
        with lock("a", wait=50):
            served.append(number)

    threads = [threading.Thread(target=wait_in_line, args=(number,)) for number in range(3)]
    for thread, number in zip(threads, (1, 2, 3), strict=True):
        thread.start()
        wait_until(partial(is_waited_for_by, number))
    sent = proxy.count("EVALSHA")
    handle.backend.waiters.nudge("a")
    wait_until(lambda: proxy.count("EVALSHA") > sent, what="the first one has looked")
    proxy.drop_next_reply(RELEASE.sha)
    do(handle, "release")
    for thread in threads:
        thread.join(20)
    assert served == [0, 1, 2]


def test_extend_is_done(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind.drop_next_reply(EXTEND.sha)
    do(handle, "extend", 90)
    assert handle.remaining() > 85
    for _ in range(2):
        behind.drop_next_reply(EXTEND.sha)
    with pytest.raises(LockUnavailable):
        do(handle, "extend", 120)
    handle.check()
    do(handle, "release")
    assert nothing_is_left()


def test_a_waiter_that_gives_up_leaves_no_trace(behind: Any, do: Any) -> None:
    with lock("a") as held:
        lost = behind.drop_next_reply(CANCEL.sha)
        assert do(lock("a"), "acquire", 0.05) is False
        wait_until(lambda: lost.fired)
        settle()
        assert held.backend.inspect("a")[1] == []


def test_a_black_hole_at_acquire(behind_silence: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    behind_silence.black_hole()
    with pytest.raises(LockUnavailable):
        do(handle, "acquire", 0)
    assert not handle.held
    behind_silence.pass_through()
    wait_until(nothing_is_left, within=20, what="what was not answered is sent again")


def test_a_black_hole_at_release(behind_silence: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind_silence.black_hole()
    with pytest.raises(LockUnavailable):
        do(handle, "release")
    behind_silence.pass_through()
    wait_until(nothing_is_left, within=20, what="what was not answered is sent again")


def test_a_black_hole_at_the_end_of_a_block_is_logged(
    behind_silence: Any, do: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with lock("a", lease=30):
        behind_silence.black_hole()
    assert "It ends by itself when its lease is over" in caplog.text
    behind_silence.pass_through()
    wait_until(nothing_is_left, within=20, what="what was not answered is sent again")


def test_a_black_hole_at_extend(behind_silence: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind_silence.black_hole()
    with pytest.raises(LockUnavailable):
        do(handle, "extend", 60)
    behind_silence.pass_through()
    handle.check()
    do(handle, "release")


def test_a_request_that_comes_after_its_cancel_is_refused(behind: Any) -> None:
    """A slow network may deliver the acquire of one who has long given up."""
    backend = lock_backends["default"]
    handle = lock("a", lease=30)
    for _ in range(2):
        behind.drop_next_request(ACQUIRE.sha)
    with pytest.raises(LockUnavailable):
        handle.acquire(wait=0)
    settle()
    late = Claim("a", handle.token, 1, 30, Holder().pack())
    assert not isinstance(backend.acquire(late), Grant)
    assert nothing_is_left()


def test_an_attempt_by_a_given_token_may_simply_be_made_again(behind: Any) -> None:
    handle = lock("a", token="a-task", lease=30)
    for _ in range(2):
        behind.drop_next_reply(ACQUIRE.sha)
    with pytest.raises(LockUnavailable):
        handle.acquire(wait=0)
    settle()
    with handle:
        handle.check()
    assert nothing_is_left()


def test_a_release_after_the_lease_is_lost_whatever_became_of_its_reply(behind: Any) -> None:
    handle = lock("a", renew=False)
    handle.acquire()
    handle.extend(0.1)
    assert handle.lost.wait(20)
    behind.drop_next_reply(RELEASE.sha)
    with pytest.raises(LockLost):
        handle.release()
