"""Lost replies: the script ran, but the client does not know."""

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

# Seconds. Only tests with a silent server wait for this long.
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
    """The same with a shorter time-out, for tests that wait for it."""
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
    except LockUnavailable:  # the process must first notice that the server is back
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


def test_a_waiter_whose_reply_was_lost_keeps_its_position(behind: Any, do: Any) -> None:
    held, waiter = lock("a"), lock("a", lease=30)
    held.acquire()
    held.backend.listen("a", 10)  # so that the first request already queues
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


def test_a_release_whose_reply_was_lost_is_done(behind: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind.drop_next_reply(RELEASE.sha)
    do(handle, "release")
    assert nothing_is_left()


@pytest.mark.parametrize("lost", ["drop_next_reply", "drop_next_request"])
def test_a_release_without_any_reply_raises_unavailable_and_is_done(
    behind: Any, do: Any, lost: str
) -> None:
    """If it did not arrive either, it is sent again in the background."""
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    for _ in range(2):
        getattr(behind, lost)(RELEASE.sha)
    with pytest.raises(LockUnavailable):
        do(handle, "release")
    assert not handle.held
    assert nothing_is_left()


def test_a_lost_release_does_not_end_the_next_hold(behind: Any, do: Any) -> None:
    """The second try of the release arrives when the name already has a new holder."""
    handle, waiter = lock("a", lease=30), lock("a", wait=30)
    hand_over_with_a_lost_reply(behind, do, handle, waiter).join()
    waiter.check()
    assert waiter.owned()
    waiter.release()
    assert nothing_is_left()


def test_a_waiter_gets_its_turn_if_the_reply_was_lost(proxy: Proxy, use: UsePlace, do: Any) -> None:
    """A waiter of the same process gets its turn only with the reply, which is sent only once."""
    _behind(proxy, use, TIMEOUT, OPTIONS={"grant_lease": 40})
    handle, waiter = lock("a", lease=60), lock("a", wait=50)
    hand_over_with_a_lost_reply(proxy, do, handle, waiter).join(20)
    assert waiter.held, "before it would have looked by itself"
    waiter.release()


def test_all_waiters_get_their_turns_if_a_reply_was_lost(
    proxy: Proxy, use: UsePlace, do: Any
) -> None:
    """If only one of the waiters looked, the one whose turn it is could miss it."""
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


def test_an_extension_whose_reply_was_lost_is_done(behind: Any, do: Any) -> None:
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


def test_a_waiter_whose_wait_is_over_leaves_no_trace(behind: Any, do: Any) -> None:
    with lock("a") as held:
        lost = behind.drop_next_reply(CANCEL.sha)
        assert do(lock("a"), "acquire", 0.05) is False
        wait_until(lambda: lost.fired)
        settle()
        assert held.backend.inspect("a")[1] == []


def test_an_acquire_without_an_answer_raises_unavailable(behind_silence: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    behind_silence.black_hole()
    with pytest.raises(LockUnavailable):
        do(handle, "acquire", 0)
    assert not handle.held
    behind_silence.pass_through()
    wait_until(nothing_is_left, within=20, what="what was not answered is sent again")


def test_a_release_without_an_answer_raises_unavailable(behind_silence: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind_silence.black_hole()
    with pytest.raises(LockUnavailable):
        do(handle, "release")
    behind_silence.pass_through()
    wait_until(nothing_is_left, within=20, what="what was not answered is sent again")


def test_a_release_without_an_answer_at_the_end_of_a_block_is_logged(
    behind_silence: Any, do: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with lock("a", lease=30):
        behind_silence.black_hole()
    assert "It ends by itself when its lease is over" in caplog.text
    behind_silence.pass_through()
    wait_until(nothing_is_left, within=20, what="what was not answered is sent again")


def test_an_extension_without_an_answer_raises_unavailable(behind_silence: Any, do: Any) -> None:
    handle = lock("a", lease=30)
    do(handle, "acquire", 0)
    behind_silence.black_hole()
    with pytest.raises(LockUnavailable):
        do(handle, "extend", 60)
    behind_silence.pass_through()
    handle.check()
    do(handle, "release")


def test_an_acquire_that_arrives_after_its_cancel_is_refused(behind: Any) -> None:
    """A slow network may deliver an acquire long after its wait is over."""
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


def test_a_failed_attempt_with_a_given_token_may_be_repeated(behind: Any) -> None:
    handle = lock("a", token="a-task", lease=30)
    for _ in range(2):
        behind.drop_next_reply(ACQUIRE.sha)
    with pytest.raises(LockUnavailable):
        handle.acquire(wait=0)
    settle()
    with handle:
        handle.check()
    assert nothing_is_left()


def test_a_release_after_the_lease_raises_lost_even_if_its_reply_was_lost(behind: Any) -> None:
    handle = lock("a", renew=False)
    handle.acquire()
    handle.extend(0.1)
    assert handle.lost.wait(20)
    behind.drop_next_reply(RELEASE.sha)
    with pytest.raises(LockLost):
        handle.release()
