"""Interrupts within the verbs of a handle, which leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from django_redislock import lock
from django_redislock.backends.waiters import ThreadWaiter
from django_redislock.handles import attempts
from django_redislock.local.hold import LocalHold
from tests.handles.test_handle import backend_is_empty
from tests.support.another_thread import in_thread
from tests.support.interruptions import PACKAGE, ctrl_c_in, interrupt
from tests.support.processes import wait_until
from tests.support.settled import settle


def test_an_interrupt_while_waiting_leaves_no_trace(make: Any) -> None:
    with make() as held:
        with ctrl_c_in((ThreadWaiter, "wait_for_turn")):
            make().acquire(wait=30)
        settle()
        assert held.backend.inspect("a")[1] == []


def test_an_interrupt_after_the_grant_holds_nothing(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = make()
    acquire = handle.backend.acquire

    def interrupted(*args: Any) -> None:
        acquire(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(handle.backend, "acquire", interrupted)
    with pytest.raises(KeyboardInterrupt):
        handle.acquire()
    monkeypatch.undo()
    settle()
    assert not handle.held
    with make(wait=0):
        pass


def test_an_interrupted_release_still_frees_the_name(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = make()
    handle.acquire()
    release, calls = handle.backend.release, []

    def interrupted(name: str, token: str, within: float | None = None) -> Any:
        calls.append(token)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return release(name, token, within)

    monkeypatch.setattr(handle.backend, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        handle.release()
    settle()
    assert backend_is_empty(handle)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No handle of an earlier test is collected, which would count as a place."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def arelease(handle: Any) -> None:
    await handle.arelease()


async def aexit(handle: Any) -> None:
    await handle.__aexit__(None, None, None)


ENDS = {
    "release": lambda handle: handle.release(),
    "exit": lambda handle: handle.__exit__(None, None, None),
    "arelease": lambda handle: asyncio.run(arelease(handle)),
    "aexit": lambda handle: asyncio.run(aexit(handle)),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a __del__
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("names", ["a", ["a", "b"]], ids=["one", "several"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_interrupt_before_an_end_begins_frees_it_all_the_same(
    names: Any, end: Any, make: Any
) -> None:
    """The handle may live on, and must not keep its hold renewed."""
    handle = make(names)
    # The first place is the beginning of the method, where no code of ours runs yet.
    for place in range(1, 40):
        handle.acquire()
        interrupt(lambda: end(handle), at=place, inside=PACKAGE)
        assert not handle.held, place
    settle()
    assert backend_is_empty(handle.locks[0] if len(names) > 1 else handle)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a __del__
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_second_interrupt_while_the_first_is_handled_frees_it_all_the_same(
    several: bool, end: Any, make: Any
) -> None:
    """The first comes before the end begins."""
    kept = []
    for second in range(24):
        handle = make([f"{second}", f"{second} too"]) if several else make(f"{second}")
        handle.acquire()
        interrupt(partial(end, handle), at=1, again_after=second, inside=PACKAGE)
        kept.append(handle)
    settle()
    assert [handle for handle in kept if handle.held] == []
    assert backend_is_empty(kept[0].locks[0] if several else kept[0])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a __del__
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("second", [None, *range(24)])
def test_an_interrupt_before_an_end_begins_waits_for_the_transaction(
    make: Any, transactional_db: None, second: int | None
) -> None:
    handle = make()
    handle.acquire()
    with transaction.atomic():
        interrupt(handle.release, at=1, again_after=second, inside=PACKAGE)
        settle()
        assert not handle.held
        assert not in_thread(make().acquire, 0)
    settle()
    assert backend_is_empty(handle)


def test_min_hold_keeps_no_name_whose_acquire_was_interrupted(make: Any) -> None:
    with ctrl_c_in((attempts, "tie_to_transactions")):
        make(min_hold=60).acquire()
    settle()
    with make(wait=0):
        pass


def test_min_hold_keeps_no_first_name_when_the_second_was_interrupted(make: Any) -> None:
    several = make(["a", "b"], min_hold=60)
    with ctrl_c_in((several.locks[1], "_acquire"), (several, "_give_back")):
        several.acquire()
    settle()
    with make(wait=0):
        pass


def test_an_interrupted_release_keeps_the_name_for_its_min_hold(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = make(min_hold=60, lease=2)
    handle.acquire()
    extend, calls = handle.backend.extend, []

    def interrupted(extension: Any) -> Any:
        calls.append(extension)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return extend(extension)

    monkeypatch.setattr(handle.backend, "extend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        handle.release()
    settle()
    (hold,), _ = handle.backend.inspect("a")
    assert hold.remaining > 40
    assert hold.detached


def test_an_interrupted_join_does_not_end_the_detached_hold(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may own the detached hold by its token."""
    mine, other = make(limit=2, reentrant=True), make(limit=2)
    mine.acquire()
    token = mine.detach()
    other.acquire()
    join = LocalHold.join

    def interrupted(self: LocalHold, need: Any) -> bool:
        join(self, need)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalHold, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mine.acquire(wait=0)
    settle()
    assert {hold.token for hold in mine.backend.inspect("a")[0]} == {token, other.token}
    other.release()
    make(token=token).release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_may_use_a_handle_that_was_being_acquired(make: Any) -> None:
    """The acquire of the other thread never ends in the child."""
    with make():
        handle = make()
        waiting = threading.Thread(target=handle.acquire, kwargs={"wait": 30})
        waiting.start()
        wait_until(lambda: handle.backend.inspect("a")[1])
        pid = os.fork()
        if pid == 0:
            status = 1
            with suppress(BaseException):
                handle.acquire(wait=0)
                status = 0
            os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
    waiting.join(30)
    handle.release()


async def forever(*arguments: Any) -> bool:
    """Stands for a request that is not answered."""
    await asyncio.Future()
    raise AssertionError


async def test_a_coroutine_closed_while_it_acquires_the_second_name_releases_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A closed coroutine cannot await anything, so the sweep releases the first."""
    several = lock(["a", "b"], using="memory", lease=3600)
    first, second = several.locks
    monkeypatch.setattr(first.backend, "arelease", forever)
    monkeypatch.setattr(second, "_acquire", forever)
    acquiring = several.aacquire()
    acquiring.send(None)
    assert first.backend.list().total == 1
    acquiring.close()
    await asyncio.to_thread(wait_until, lambda: not first.backend.list().total)


async def test_a_coroutine_closed_while_it_releases_the_first_name_releases_all_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = lock(["a", "b"], using="memory", lease=3600)
    await several.aacquire()
    backend = several.locks[0].backend
    monkeypatch.setattr(backend, "arelease", forever)
    releasing = several.arelease()
    releasing.send(None)
    releasing.close()
    await asyncio.to_thread(wait_until, lambda: not backend.list().total)
