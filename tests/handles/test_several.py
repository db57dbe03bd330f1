"""Several holders of one name, and several names in one handle."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import transaction

from django_redislock import (
    LockError,
    LockLost,
    LockNotAcquired,
    LockUnavailable,
    MultiLock,
    waiting,
)
from django_redislock.clock import monotonic
from django_redislock.handles import multi
from django_redislock.local.renewal import renewal
from django_redislock.testing.driver import SHORT, outlive
from tests.support.another_thread import in_thread
from tests.support.interruptions import ctrl_c_in
from tests.support.processes import wait_until
from tests.support.settled import settle


def held_names(handle: Any) -> Any:
    return sorted(hold.name for hold in handle.backend.list().holds)


def test_a_limit_allows_that_many_holders(make: Any) -> None:
    holders = [make(limit=2, wait=0) for _ in range(3)]
    assert [holder.acquire() for holder in holders] == [True, True, False]
    holders[0].release()
    assert holders[2].acquire()
    for holder in holders[1:]:
        holder.release()


def test_readers_share_a_lock_and_writers_do_not(make: Any) -> None:
    with make(shared=True), make(shared=True, wait=0) as reader:
        assert reader.backend.inspect("a")[0][0].shared
        assert not make().acquire(wait=0)
    with make():
        assert not make(shared=True).acquire(wait=0)


def test_all_names_or_none(make: Any) -> None:
    with make("b"):
        both = make(["c", "a", "b"], wait=0)
        assert both.acquire() is False
        assert not both.held
        assert held_names(both.locks[0]) == ["b"]
        with pytest.raises(LockNotAcquired, match="The lock 'b' is busy"), both:
            pass
    with both:
        assert both.held
        assert held_names(both.locks[0]) == ["a", "b", "c"]


def test_names_are_acquired_in_one_order_and_once(make: Any) -> None:
    both = make(["b", "a", "b"])
    assert isinstance(both, MultiLock)
    assert both.names == ("a", "b")
    with both:
        assert set(both.fences) == set(both.tokens) == {"a", "b"}
        assert both.remaining() > 5
        both.extend(60)
        assert both.remaining() > 45
        both.check()
        with pytest.raises(LockError, match="held already"):
            both.acquire()
    assert repr(both) == "<MultiLock 'a', 'b'>"


async def test_a_coroutine_holds_several_names(make: Any) -> None:
    async with make(["a", "b"]) as both:
        await both.aextend(60)
        assert not await make("b").aacquire(wait=0)
    assert held_names(both.locks[0]) == []


def test_opposite_orders_do_not_deadlock(make: Any) -> None:
    counts = []

    def work(names: Any) -> None:
        for _ in range(20):
            with make(names, wait=50):
                counts.append(1)

    threads = [threading.Thread(target=work, args=(names,)) for names in (["a", "b"], ["b", "a"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 40


def test_the_loss_of_one_name_does_not_keep_the_others_held(make: Any) -> None:
    both = make(["a", "b"])
    with pytest.raises(LockLost), both:
        assert both.locks[1].backend.force_release("b", both.tokens["b"])
    assert held_names(both.locks[0]) == []


def test_a_lost_lock_on_several_names_may_be_acquired_again(make: Any) -> None:
    both = make(["a", "b"], renew=False)
    both.acquire()
    both.extend(SHORT)
    outlive()
    with pytest.raises(LockLost):
        both.release()
    with make("b"):
        assert both.acquire(wait=0) is False
        assert held_names(both.locks[0]) == ["b"]
    with both:
        pass


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_interrupt_in_the_release_of_one_frees_the_others(
    make: Any, monkeypatch: pytest.MonkeyPatch, which: Any
) -> None:
    names = ["a", "b", "c"]
    several = make(names)
    several.acquire()
    backend = several.locks[0].backend
    release, seen = backend.release, set()

    def interrupted(name: str, token: str, within: float | None = None) -> Any:
        if name == names[which] and name not in seen:
            seen.add(name)
            raise KeyboardInterrupt
        return release(name, token, within)

    monkeypatch.setattr(backend, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        several.release()
    settle()
    assert held_names(several.locks[0]) == []


def test_an_acquire_after_two_interrupts_is_not_undone_by_their_clean_up(make: Any) -> None:
    both = make(["a", "b"])
    with ctrl_c_in((both.locks[1], "_acquire"), (both, "_give_back")):
        both.acquire()
    with pytest.raises(LockError, match="not held"):
        both.release()  # the first is released, and the second was never acquired
    assert both.acquire()
    renewal.settle(10)
    both.check()
    assert all(handle.owned() for handle in both.locks)
    both.release()


async def test_a_cancelled_wait_for_the_second_name_releases_the_first(make: Any) -> None:
    async with make("b"):
        both = make(["a", "b"], wait=30)
        waiting = asyncio.create_task(both.aacquire())
        while not both.locks[0].backend.inspect("b")[1]:
            await asyncio.sleep(0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert held_names(both.locks[0]) == ["b"]


async def test_a_hanging_server_does_not_delay_a_cancellation_for_long(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background completes the releases, so no time-out is waited for name by name."""
    async with make("c"):
        several = make(["a", "b", "c"], wait=600)
        backend, times = several.locks[0].backend, []

        async def unanswered(name: str, token: str, within: float | None = None) -> bool:
            times.append(within)
            raise LockUnavailable(name)

        waiting = asyncio.create_task(several.aacquire())
        while not backend.inspect("c")[1]:
            await asyncio.sleep(0.001)
        with monkeypatch.context() as patch:
            patch.setattr(backend, "arelease", unanswered)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert len(times) == 2
        assert all(within <= 1 for within in times)
        await asyncio.to_thread(settle)
        assert held_names(several.locks[0]) == ["c"]


def test_min_hold_does_not_keep_the_first_name_when_the_second_is_busy(make: Any) -> None:
    with make("b"):
        assert not make(["a", "b"], min_hold=60).acquire(wait=0)
        with make("a", wait=0):
            pass


@pytest.mark.django_db(transaction=True)
def test_a_transaction_does_not_keep_the_first_name_when_the_second_is_busy(make: Any) -> None:
    with make("b"), transaction.atomic():
        several = make(["a", "b"])
        assert not several.acquire(wait=0)
        assert held_names(several.locks[0]) == ["b"]


@pytest.mark.django_db(transaction=True)
def test_a_hold_joined_within_a_transaction_stays_when_the_second_name_is_busy(make: Any) -> None:
    with make("b"):
        with transaction.atomic():
            with make("a", min_hold=60):
                pass
            several = make(["a", "b"])
            assert not several.acquire(wait=0)
            assert held_names(several.locks[0]) == ["a", "b"]
        assert not make("a").acquire(wait=0), "its min_hold goes on"


def test_losing_the_first_name_while_the_second_is_busy_is_no_error(make: Any) -> None:
    with make("b"):
        several = make(["a", "b"])
        first = several.locks[0]
        while_acquiring_the_second(several, lambda: first.backend.force_release("a", first.token))
        assert several.acquire(wait=0) is False


def test_without_a_wait_each_name_has_as_long_for_its_answer_as_the_first(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multi, "monotonic", lambda: monotonic() - 3600)  # when the first was sent
    monkeypatch.setattr(waiting, "FIRST_ANSWER", 60)
    several, limits = make(["a", "b"]), []
    backend = several.locks[0].backend
    acquire = backend.acquire

    def note(claim: Any, stay: float, within: float) -> Any:
        limits.append(within)
        return acquire(claim, stay, within)

    monkeypatch.setattr(backend, "acquire", note)
    assert several.acquire(wait=0)
    several.release()
    assert min(limits) > 30


def while_acquiring_the_second(several: MultiLock, do: Any) -> None:
    """Call `do` before the second name is acquired."""
    acquire = several.locks[1]._acquire

    async def do_and_acquire(*arguments: Any) -> bool:
        do()
        return bool(await acquire(*arguments))

    several.locks[1]._acquire = do_and_acquire  # type: ignore[method-assign]


def test_a_release_by_another_thread_during_an_acquire_ends_the_acquire(make: Any) -> None:
    several = make(["a", "b"])

    def release() -> None:
        with pytest.raises(LockError, match="not held"):
            several.release()

    while_acquiring_the_second(several, lambda: in_thread(release))
    with pytest.raises(LockError, match="not held"):
        several.acquire()
    assert held_names(several.locks[0]) == []


def test_losing_the_first_name_while_the_second_is_acquired_is_reported(make: Any) -> None:
    several = make(["a", "b"], lease=2)
    first = several.locks[0]

    def lose_the_first() -> None:
        assert first.backend.force_release("a", first.token)
        wait_until(lambda: first.lost)

    while_acquiring_the_second(several, lose_the_first)
    with pytest.raises(LockLost, match="released by force"):
        several.acquire()
    assert held_names(first) == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [(5, r"; write str\(...\) around it"), (None, ""), (["b"], ""), (b"b", r"; write .decode.*")],
    ids=str,
)
def test_one_of_several_names_that_is_no_string(make: Any, name: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=rf"name must be a string, not [^;]*{advice}\.$"):
        make(["a", name])
