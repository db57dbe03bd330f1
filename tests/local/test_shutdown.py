"""Shutdown of a process, as far as it can be tested without ending one."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import math
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock
from django_redislock.local import background as background_module, shutdown
from django_redislock.local.background import background
from django_redislock.local.shutdown import release_all
from tests.support.forks import in_child
from tests.support.processes import Workers


@pytest.mark.parametrize("using", ["default", "memory"])
def test_held_locks_are_released(using: str) -> None:
    held: Any = lock("a", using=using)
    held.acquire()
    release_all()
    assert not held.held
    assert held.backend.inspect("a") == ([], [])


def test_a_hold_is_handed_over_also_if_the_server_has_just_refused_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without free memory it takes no counts, but it releases locks."""

    def refuse() -> None:
        refused.set()
        raise LockUnavailable("used memory > 'maxmemory'")

    monkeypatch.setattr(background_module, "RETRY_EVERY", 600.0)
    held, refused = lock("a", using="memory"), threading.Event()
    held.acquire()
    background.until_done(held._hold.server, refuse, math.inf)
    assert refused.wait(30)
    release_all()
    assert held.backend.inspect("a") == ([], [])


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize("min_hold", [None, 90])
def test_a_hold_that_a_helper_task_acquired_for_a_running_task_is_lost(
    using: str, min_hold: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such tasks are made by ``gather()``, and up to Python 3.11 by ``wait_for()``."""
    monkeypatch.setattr(shutdown, "LAST_LEASE", 60.0)
    held: Any = lock("a", using=using, lease=600, min_hold=min_hold)

    async def work() -> None:
        await asyncio.gather(held.aacquire())
        await asyncio.to_thread(release_all)
        assert held.lost
        (hold,), _ = held.backend.inspect("a")
        assert hold.token == held.token
        assert hold.remaining <= (min_hold or 60)
        assert hold.remaining > (min_hold or 60) - 30

    asyncio.run(work())


def test_holds_of_an_ended_event_loop_are_released() -> None:
    held: Any = lock("a")
    asyncio.run(held.aacquire())
    release_all()
    assert held.backend.inspect("a") == ([], [])


def test_a_wait_of_an_ended_event_loop_is_given_up() -> None:
    """Daphne leaves the tasks of its loop where they are."""
    held: Any = lock("a", lease=600)
    held.acquire()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(lock("a").aacquire(wait=600))

    async def queue() -> None:
        while not held.backend.inspect("a")[1]:
            await asyncio.sleep(0.01)

    loop.run_until_complete(asyncio.wait_for(queue(), 30))
    release_all()
    assert held.backend.inspect("a") == ([], [])
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.run_until_complete(loop.shutdown_asyncgens())  # closes its connections
    loop.close()


def test_a_hold_of_a_greenlet_that_has_ended_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.13 on, the object that stands for its thread raises an error then."""

    class Ended(threading.Thread):
        def is_alive(self) -> bool:
            raise RuntimeError("thread is not alive")

    held: Any = lock("a")
    held.acquire()
    monkeypatch.setattr(held._hold.owner, "thread", Ended())
    release_all()
    assert held.backend.inspect("a") == ([], [])


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_min_hold_outlasts_the_shutdown(using: str) -> None:
    held: Any = lock("a", using=using, lease=5, min_hold=60)
    held.acquire()
    release_all()
    assert not held.held
    (hold,), _ = held.backend.inspect("a")
    assert hold.detached
    assert hold.remaining > 40


def test_a_child_without_its_parents_exit_handlers_registers_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Children of multiprocessing have none, from Python 3.13 on."""
    registered: list[Any] = []
    monkeypatch.setattr(shutdown, "_registered_pid", 1)
    monkeypatch.setattr(atexit, "unregister", lambda function: None)
    monkeypatch.setattr(atexit, "register", registered.append)

    def hold() -> None:
        with lock("a", using="memory"):
            pass

    for _ in range(2):
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
    assert registered == [release_all]


def _at_sigterm() -> list[str]:
    return ["ends" if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else "releases"]


def _at_sigterm_after_a_hold() -> list[str]:
    with lock("a", using="memory"):
        return _at_sigterm()


def _parent_and_children_at_sigterm() -> list[str]:
    return [
        *_at_sigterm_after_a_hold(),
        *in_child(_at_sigterm),
        *in_child(_at_sigterm_after_a_hold),
    ]


def _at_sigterm_with_a_handler_outside_python() -> bool:
    """Whether the handler stays. It is a function of the C library that does no harm."""
    library = ctypes.CDLL(None)
    library.signal.restype = ctypes.c_void_p
    library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    handler = ctypes.cast(library.abs, ctypes.c_void_p).value
    library.signal(signal.SIGTERM, handler)
    with lock("a", using="memory"):
        return bool(library.signal(signal.SIGTERM, handler) == handler)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the handlers")
def test_a_handler_that_python_does_not_know_stays(workers: Workers) -> None:
    """libev, and so gevent, has such handlers, and uWSGI."""
    assert workers.start(_at_sigterm_with_a_handler_outside_python).result()


def test_a_child_that_has_held_nothing_is_terminated_at_once(workers: Workers) -> None:
    """Otherwise a pool of multiprocessing may wait for ever for it, without any lock."""
    assert workers.start(_parent_and_children_at_sigterm).result() == [
        "releases",
        "ends",
        "releases",
    ]
