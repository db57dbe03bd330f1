"""Warnings of mistakes that otherwise only show under load."""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory

from django_redislock import lock, locked, locked_view
from django_redislock.exceptions import LockMisuse, LockNotAcquired
from django_redislock.local import misuse


@pytest.fixture(autouse=True)
def _debug(settings: Any) -> None:
    settings.DEBUG = True


def test_waiting_for_a_name_held_by_the_same_thread_warns() -> None:
    with lock("twice"), pytest.warns(LockMisuse, match="waits for itself.*reentrant=True"):
        assert not lock("twice").acquire(wait=0.01)


def test_asking_without_a_wait_does_not_warn() -> None:
    with lock("twice"):
        assert not lock("twice").acquire(wait=0)


def test_needing_a_name_held_by_the_same_thread_warns_also_without_a_wait() -> None:
    @locked("twice", wait=0, on_busy="skip")
    def skipped() -> None: ...

    with lock("twice"), pytest.warns(LockMisuse, match="always busy here.*reentrant=True"):
        skipped()


def test_a_name_that_is_held_on_after_its_release_does_not_warn() -> None:
    @locked("once", wait=0, on_busy="skip", min_hold=60)
    def once() -> bool:
        return True

    assert [once(), once()] == [True, None]


def test_opposite_orders_warn_with_both_lines() -> None:
    with lock("one"), lock("other"):
        pass
    with pytest.warns(LockMisuse, match="opposite order") as caught, lock("other"), lock("one"):
        pass
    (warning,) = caught
    assert str(warning.message).count("test_misuse.py:") == 2
    assert warning.filename == __file__


def test_the_same_order_and_a_list_of_names_do_not_warn() -> None:
    for _ in range(2):
        with lock("a"), lock("b"):
            pass
        with lock(["b", "a"]):
            pass


@pytest.mark.django_db(transaction=True)
def test_a_wait_inside_atomic_warns() -> None:
    with transaction.atomic(), pytest.warns(LockMisuse, match=r"open atomic\(\).*'default'"):
        with lock("row"):
            pass


@pytest.mark.django_db
def test_the_transaction_of_testcase_does_not_warn() -> None:
    with lock("row"):
        pass


def test_warnings_need_debug_or_the_setting(settings: Any) -> None:
    settings.DEBUG = False
    with warnings.catch_warnings(), lock("twice"):
        warnings.simplefilter("error")
        assert not lock("twice").acquire(wait=0.01)
    locks = {alias: dict(entry) for alias, entry in settings.LOCKS.items()}
    locks["default"]["WARN_OF_MISUSE"] = True
    settings.LOCKS = locks
    with lock("twice"), pytest.warns(LockMisuse):
        assert not lock("twice").acquire(wait=0.01)


def test_a_blocking_acquire_in_a_coroutine_warns() -> None:
    async def work() -> None:
        with lock("blocks"):
            pass

    async def without_waiting() -> None:
        handle = lock(["blocks", "loop"])
        handle.acquire(wait=0)
        handle.release()

    for coroutine in (work, without_waiting):
        with pytest.warns(LockMisuse, match="event loop.*async with.*aacquire") as caught:
            asyncio.run(coroutine())
        assert {warning.filename for warning in caught} == {__file__}


def test_calls_that_do_not_block_an_event_loop_do_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    def block() -> None:
        with lock("in a thread"):
            pass

    async def work() -> None:
        async with lock("awaited"), lock(["awaited too", "and this"]):
            await sync_to_async(block)()
            await asyncio.to_thread(block)

    asyncio.run(work())
    async_to_sync(work)()
    # In a notebook, where a loop is always running, this is set for Django anyway.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

    async def notebook() -> None:
        block()

    asyncio.run(notebook())


def test_the_cost_of_an_acquire_does_not_grow_with_the_locks_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted in lines of Python, which no other process disturbs."""
    lines = 0

    def count(frame: Any, event: str, arg: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != misuse.__file__:
            return None
        lines += event == "line"
        return count

    def cost(name: str) -> int:
        nonlocal lines
        lines = 0
        sys.settrace(count)
        try:
            assert handles[name].acquire(wait=0)
        finally:
            sys.settrace(None)
        return lines

    handles = {f"n{i}": lock(f"n{i}", using="memory", renew=False, lease=600) for i in range(1200)}
    with ExitStack() as stack:
        costs = []
        for name, handle in handles.items():
            costs.append(cost(name))
            stack.callback(handle.release)
    assert costs[-1] <= costs[600]
    assert costs[-1] < 1500


def test_earlier_releases_do_not_hide_a_held_lock() -> None:
    with lock("outer", using="memory"):
        for number in range(200):
            with lock(f"passing:{number}", using="memory"):
                pass
        with lock("inner", using="memory"):
            pass
    with (
        lock("inner", using="memory"),
        pytest.warns(LockMisuse, match="opposite order"),
        lock("outer", using="memory"),
    ):
        pass


def test_a_signal_handler_may_take_a_lock_at_any_line_of_the_module() -> None:
    lines = 0
    is_handling = False

    def handle_signal(frame: Any, event: str, arg: object) -> Any:
        nonlocal lines, is_handling
        if is_handling or frame.f_code.co_filename != misuse.__file__:
            return None
        if event == "line":
            lines += 1
            is_handling = True
            with lock(f"handler:{lines}", using="memory"):
                pass
            is_handling = False
        return handle_signal

    def take() -> None:
        with lock("a", using="memory"):
            sys.settrace(handle_signal)
            try:
                with lock("b", using="memory"):
                    pass
            finally:
                sys.settrace(None)

    # A deadlock must not keep the test from ending, hence the daemon thread.
    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert lines > 30


@pytest.mark.parametrize("name", ["x", ["x", "y"]])
def test_the_truth_value_of_a_handle_that_was_never_acquired_warns(name: Any) -> None:
    with pytest.warns(LockMisuse, match=r"always true.*acquire\(wait=0\).*\.held") as caught:
        assert lock(name)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["x", ["x", "y"]])
def test_a_handle_that_is_dropped_while_it_is_held_warns(name: Any) -> None:
    with pytest.warns(LockMisuse, match=r"was dropped.*`with lock\(") as caught:
        assert lock(name).acquire(wait=0)
    with pytest.warns(LockMisuse, match="keep the handle"), suppress(TypeError, AttributeError):
        with lock("z").acquire():
            pass
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("name", ["x", ["x", "y"]])
def test_the_truth_value_of_an_acquired_handle_does_not_warn(name: Any) -> None:
    with lock(name) as held:
        assert held
    assert held
    request: Any = RequestFactory().get("/")
    locked_view("v", using="memory")(lambda request: HttpResponse(bool(request.lock)))(request)


def test_a_refused_lock_on_several_names_does_not_warn() -> None:
    with lock("x"), pytest.raises(LockNotAcquired), lock(["x", "y"], wait=0):
        pass


@pytest.mark.parametrize("text", ["feed:{feed_id}", "feed:{0}", "feed:%s", "feed:%(id)d"])
def test_a_name_with_fields_that_are_not_filled_warns(text: str) -> None:
    with pytest.warns(LockMisuse, match="used literally.*f-string"), lock(text, using="memory"):
        pass


@locked("feed:{text}", using="memory")
def named_after(text: str) -> None: ...


def test_filled_names_and_percent_signs_do_not_warn() -> None:
    named_after("{feed}")
    for text in ("discount:10%", "100%sure", "%D0%B0", "a:%", "{}", "json:{1,2}"):
        with lock(text, using="memory"):
            pass


def test_taking_over_ones_own_hold_by_its_token_does_not_warn() -> None:
    held = lock("twice")
    held.acquire()
    other = lock("twice", token=held.token)
    assert other.acquire(wait=1)
    other.release()


def test_opposite_orders_in_two_backends_do_not_warn() -> None:
    with lock("one"), lock("other"):
        pass
    with lock("other", using="memory"), lock("one", using="memory"):
        pass
