"""Handle of one name: its verbs, its attributes and its signals."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from django_redislock import Lock, LockError, LockLost, LockNotAcquired, lock, lock_backends
from django_redislock.signals import lock_acquired, lock_contended, lock_released
from django_redislock.testing.driver import SHORT, outlive
from tests.support.tries import TRIES, best_of


def test_a_new_handle_holds_nothing(make: Any) -> None:
    handle = make()
    assert (handle.held, handle.fence, handle.remaining(), bool(handle.lost)) == (
        False,
        0,
        0,
        False,
    )
    assert not handle.owned()
    assert handle.holder is None
    assert repr(handle) == "<Lock 'a' not held>"


def test_with_holds_and_releases(make: Any) -> None:
    with make(lease=30) as held:
        assert isinstance(held, Lock)
        assert held.held
        assert held.owned()
        assert held.fence > 0
        assert len(held.token) == 32
        assert 20 < held.remaining() <= 30
        held.check()
        assert repr(held) == "<Lock 'a' held>"
    assert not held.held
    assert not held.owned()
    assert held.remaining() == 0


async def test_async_with_holds_and_releases(make: Any) -> None:
    async with make(lease=30) as held:
        assert held.held
        assert await held.aowned()
        assert 20 < held.remaining() <= 30
        await held.aextend(60)
        assert held.remaining() > 50
    assert not await held.aowned()


def test_acquire_returns_whether_it_holds(make: Any) -> None:
    first, second = make(), make()
    assert first.acquire(wait=0) is True
    assert second.acquire(wait=0) is False
    first.release()
    assert second.acquire(wait=0) is True
    second.release()


async def test_aacquire_returns_whether_it_holds(make: Any) -> None:
    first, second = make(), make()
    assert await first.aacquire(wait=0) is True
    assert await second.aacquire(wait=0) is False
    await first.arelease()
    assert await second.aacquire(wait=0.01) is True
    await second.arelease()


def test_a_handle_is_used_again_with_a_new_token_and_a_higher_fence(make: Any) -> None:
    handle = make()
    with handle:
        token, fence = handle.token, handle.fence
    with handle:
        assert handle.token != token
        assert handle.fence > fence


def test_a_busy_lock_is_reported_with_its_holder(make: Any) -> None:
    with make(lease=30, what="import", label="Ada"):
        with pytest.raises(LockNotAcquired) as caught:
            with make(wait=0.05):
                pytest.fail("it was not free")
    error = caught.value
    assert error.name == "a"
    assert (error.holder.what, error.holder.label) == ("import", "Ada")
    assert 25 < error.retry_after <= 36
    assert str(error).startswith("The lock 'a' is busy, held by import (")
    assert str(error).endswith("for Ada, after a wait of 0.05 s.")


def test_a_busy_error_says_that_the_attempt_did_not_wait(make: Any) -> None:
    with make():
        with pytest.raises(LockNotAcquired, match="the attempt did not wait"), make(wait=0):
            pass


def test_the_holder_is_this_code_by_default(using: str) -> None:
    with lock("a", using=using) as held:
        (hold,), _ = held.backend.inspect("a")
        assert hold.holder == held.holder
        assert hold.holder.what.startswith(f"{__name__}.")
        assert hold.holder.thread == threading.current_thread().name
        other = lock("a", using=using)
        assert not other.acquire(wait=0)
        assert other.holder == hold.holder


def test_what_none_is_the_same_as_no_what(using: str) -> None:
    with lock("a", using=using, what=None) as held:
        assert held.holder.what.startswith(f"{__name__}.")
    with lock("a", using=using, what="") as held:
        assert held.holder.what == ""


@pytest.mark.parametrize("wait", [0.05, 0.25, 1.0])
def test_a_wait_is_exact(make: Any, wait: float) -> None:
    def measure(attempt: Any) -> Any:
        began = time.monotonic()
        assert not make().acquire(wait=wait)
        took = time.monotonic() - began
        assert took >= wait
        return took

    with make():
        assert best_of(measure, wait + 0.5) < wait + 0.5


async def test_a_wait_of_a_coroutine_is_exact(make: Any) -> None:
    best = math.inf
    async with make():
        for _ in range(TRIES):
            began = time.monotonic()
            assert not await make().aacquire(wait=0.25)
            took = time.monotonic() - began
            assert took >= 0.25
            if (best := min(best, took)) < 0.75:
                break
    assert best < 0.75


def test_an_endless_wait(make: Any) -> None:
    first, second = make(), make(wait=math.inf)
    first.acquire()
    thread = threading.Thread(target=second.acquire)
    thread.start()
    first.release()
    thread.join()
    second.release()


def test_extend_sets_the_lease_from_now(make: Any) -> None:
    with make(lease=30) as held:
        held.extend(90)
        assert 80 < held.remaining() <= 90
        held.extend()
        assert 20 < held.remaining() <= 30
        (hold,), _ = held.backend.inspect("a")
        assert held.remaining() <= hold.remaining


def test_verbs_of_a_handle_in_the_wrong_state_raise_a_lock_error(make: Any) -> None:
    handle = make()
    for act in (handle.release, handle.extend, handle.check, handle.detach):
        with pytest.raises(LockError, match="not held by this handle. Acquire it first") as caught:
            act()
        assert type(caught.value) is LockError
    handle.acquire()
    with pytest.raises(LockError, match="already held by this handle"):
        handle.acquire()
    handle.release()
    with pytest.raises(LockError, match="Acquire it first"):
        handle.release()


def test_a_hold_released_within_the_block_is_not_released_again(make: Any) -> None:
    with make() as held:
        held.release()
        with make(wait=0) as other:
            pass
    assert other.fence > held.fence


def test_lost_is_raised_at_the_end_of_the_block(make: Any) -> None:
    with pytest.raises(LockLost, match="its lease ran out") as caught:
        with make(renew=False) as held:
            held.extend(SHORT)
            outlive()
            assert not held.held
            with pytest.raises(LockLost):
                held.check()
            with pytest.raises(LockLost):
                held.extend()
    assert caught.value.name == "a"
    assert repr(held) == "<Lock 'a' lost>"


def test_a_loss_that_the_body_has_noticed_is_reported_once(make: Any) -> None:
    with pytest.raises(LockLost) as caught:
        with make(renew=False) as held:
            held.extend(SHORT)
            outlive()
            held.check()
    assert getattr(caught.value, "__notes__", []) == []
    assert caught.value.__context__ is None


def test_lost_never_hides_the_error_of_the_body(make: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        with make(renew=False) as held:
            held.extend(SHORT)
            outlive()
            raise ZeroDivisionError
    error = caught.value
    notes = getattr(error, "__notes__", None) or [str(error.__context__)]
    assert "its lease ran out" in notes[0]


def test_a_lost_handle_may_try_again(make: Any) -> None:
    handle = make(renew=False)
    handle.acquire()
    handle.extend(SHORT)
    outlive()
    with pytest.raises(LockLost):
        handle.release()
    with make() as other:
        assert not handle.acquire(wait=0)
        refused = r"did not get it. Write `if handle.acquire\(\.\.\.\):`"
        with pytest.raises(LockError, match=refused) as caught:
            handle.release()
        assert not isinstance(caught.value, LockLost), "this attempt never held it"
    with handle:
        assert handle.fence > other.fence
        assert not handle.lost


def test_the_hold_of_a_handle_that_is_dropped_ends_by_itself_and_is_reported(make: Any) -> None:
    handle = make(lease=1.5)
    handle.acquire()
    backend = handle.backend
    with pytest.warns(ResourceWarning, match="was dropped without release"):
        del handle
    with lock("a", using=backend.alias, wait=30):
        pass


def test_a_handle_may_pass_to_another_thread(make: Any) -> None:
    handle = make()
    handle.acquire()
    thread = threading.Thread(target=handle.release)
    thread.start()
    thread.join()
    assert not handle.held
    assert backend_is_empty(handle)


def backend_is_empty(handle: Any) -> bool:
    return lock_backends[handle.backend.alias].list().total == 0


def test_signals_are_sent_for_each_event(make: Any) -> None:
    received = []

    def note(signal: Any, lock: Any, **details: Any) -> None:
        received.append((names[signal], lock.name, sorted(set(details) - {"sender"})))

    names = {
        lock_acquired: "acquired",
        lock_contended: "contended",
        lock_released: "released",
    }
    for signal in names:
        signal.connect(note)
    try:
        with make():
            make().acquire(wait=0)
    finally:
        for signal in names:
            signal.disconnect(note)
    assert received == [
        ("acquired", "a", ["waited"]),
        ("contended", "a", ["acquired", "holder", "waited"]),
        ("released", "a", ["held"]),
    ]
