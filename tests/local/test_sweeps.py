"""Sweeps beside calls in progress, which finish interrupted calls and no others."""

from __future__ import annotations

import _thread
import gc
import threading
from contextlib import suppress
from typing import Any

import pytest
from django.db import connections, transaction

from django_redislock import (
    Lock,
    LockError,
    LockUnavailable,
    lock,
    lock_backends,
    transactions,
)
from django_redislock.local.background import background
from django_redislock.local.hold import LocalHold
from django_redislock.local.registry import Attempt, Registry, registry
from django_redislock.local.renewal import Renewal
from django_redislock.transactions import Tie
from tests.support.another_thread import in_thread, is_free
from tests.support.interruptions import Interruption, handle_signal, pause, places_in, steps_of
from tests.support.processes import wait_until
from tests.support.settled import settle
from tests.support.threads import end_our_threads, no_thread_can_start


def test_a_release_that_begins_at_any_moment_of_a_sweep_frees_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The release has registered its attempt and ended its need when the sweep goes on."""
    leave, left = LocalHold.leave, []

    def leave_late(self: LocalHold, need: Any) -> bool:
        if threading.current_thread().name == "releases":
            reached.set()
            swept.wait(30)
        return leave(self, need)

    def begin_release() -> None:
        releasing.start()
        reached.wait(30)

    monkeypatch.setattr(LocalHold, "leave", leave_late)
    with lock("warm"):
        number = steps_of(registry.sweep)
    for place in range(number):
        held, reached, swept = lock(f"{place}"), threading.Event(), threading.Event()
        assert in_thread(held.acquire)
        releasing = threading.Thread(target=held.release, name="releases")
        if pause(registry.sweep, begin_release, at=place):
            swept.set()
            releasing.join(30)
        else:
            held.release()
        if not is_free(held.name):
            left.append(place)
    assert left == [], number


@pytest.mark.django_db(transaction=True)
def test_a_sweep_before_the_release_at_a_commit_does_not_prevent_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    perform = transactions.perform

    def sweep_first(*args: Any) -> Any:
        registry.sweep()
        return perform(*args)

    with transaction.atomic():
        with lock("row"):
            pass
        monkeypatch.setattr(transactions, "perform", sweep_first)
    assert is_free("row")


def test_each_of_several_names_is_released_later_if_the_server_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = lock(["a", "b"], lease=60)
    both.acquire()
    away = True

    def release(name: str, token: str, within: float | None = None) -> bool:
        if away:
            registry.sweep()  # as our own thread does while the other name is released
            raise LockUnavailable("no answer", name=name)
        return bool(real(name, token, within))

    backend = lock_backends["default"]
    real = backend.release
    monkeypatch.setattr(backend, "release", release)
    with pytest.raises(LockUnavailable):
        both.release()
    away = False
    settle()
    wait_until(lambda: is_free("a") and is_free("b"))
    assert not [hold for hold in registry.holds if hold.name in ("a", "b")]


def test_a_release_while_the_hold_is_registered_leaves_nothing() -> None:
    """As a signal handler that cleans up may do, or another thread with the same handle."""
    warm = lock("warm")
    number = places_in(warm.acquire)
    warm.release()
    for place in range(number):
        held = lock(f"{place}")
        handle_signal(held.acquire, lambda: give_up(held), at=place)  # noqa: B023
        give_up(held)
    wait_until(lambda: not registry.holds)


def give_up(held: Lock) -> None:
    with suppress(LockError):
        held.release()


def test_a_sweep_at_any_moment_of_the_last_of_two_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first was interrupted. Whoever decides the end has to see to it."""

    def interrupted(self: LocalHold, need: Any) -> bool:
        raise Interruption

    def release_first(name: str) -> Lock:
        first, last = lock(name, lease=60), lock(name, lease=60, reentrant=True)
        first.acquire()
        last.acquire()
        with monkeypatch.context() as patch:
            patch.setattr(LocalHold, "leave", interrupted)
            with pytest.raises(Interruption):
                first.release()
        return last

    sweep = registry.sweep
    with lock("warm"):
        monkeypatch.setattr(registry, "sweep", lambda: None)  # of our own thread
    number = steps_of(release_first("warm").release)
    sweep()
    left = []
    for place in range(number):
        last = release_first(f"{place}")
        if not pause(last.release, sweep, at=place):
            sweep()
        assert background.flush(30)
        if lock_backends["default"].inspect(last.name)[0]:
            left.append(place)
    assert left == []


def test_an_interrupted_release_is_finished_after_another_one_that_was_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """During the sweep, it is unknown which of the two has decided to end the hold."""
    first, last = lock("a", lease=3600), lock("a", lease=3600, reentrant=True)
    first.acquire()
    last.acquire()
    leave = LocalHold.leave

    def interrupted(self: LocalHold, need: Any) -> bool:
        leave(self, need)
        raise Interruption

    def release_the_last(self: LocalHold, need: Any) -> bool:
        is_last = leave(self, need)
        monkeypatch.setattr(LocalHold, "leave", interrupted)
        with pytest.raises(Interruption):
            last.release()
        monkeypatch.setattr(LocalHold, "leave", leave)
        registry.sweep()
        return is_last

    monkeypatch.setattr(LocalHold, "leave", release_the_last)
    first.release()
    wait_until(lambda: is_free("a"))


def test_interrupted_calls_are_finished_at_the_end_even_if_no_thread_can_start() -> None:
    with no_thread_can_start():
        Attempt(None, [])
        Renewal().settle(30)
        assert not registry.interrupted


def test_a_hold_whose_renewal_thread_died_at_its_start_is_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to Python 3.11 an exception that is set in a thread may kill one that it is starting."""
    end_our_threads(monkeypatch)
    start, killed = _thread.start_new_thread, []

    def kill_the_first(function: Any, args: Any) -> int:
        if threading.current_thread() is not threading.main_thread() or killed:
            return start(function, args)
        killed.append(function)
        return 0

    held = lock("a", lease=2)
    monkeypatch.setattr(_thread, "start_new_thread", kill_the_first)
    held.acquire()
    assert killed
    assert not held.lost.wait(4)
    held.release()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_collected_in_the_renewal_thread_sends_nothing_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that hangs must not keep it from its work."""

    def note(*args: Any) -> bool:
        released_by.append(threading.current_thread().name)
        return bool(release(*args))

    released_by: list[str] = []
    held, release = lock("a", lease=60), lock_backends["default"].release
    monkeypatch.setattr(lock_backends["default"], "release", note)
    held.acquire()
    gc.disable()
    try:
        cycle: list[object] = [Tie(held, held._hold, connections["default"])]
        cycle.append(cycle)
        held.release()
        del cycle
        monkeypatch.setattr(registry, "sweep", lambda: gc.collect() and sweep())
        sweep = Registry.sweep.__get__(registry)
        wait_until(lambda: released_by)
    finally:
        gc.enable()
    assert "django_redislock-renewal" not in released_by
    assert is_free("a")


def test_each_backend_in_use_mends_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    mended: set[str] = set()
    for alias in ("default", "memory"):
        monkeypatch.setattr(lock_backends[alias], "mend", lambda alias=alias: mended.add(alias))
    with lock("a", using="memory"):
        wait_until(lambda: mended == {"default", "memory"})
