"""Joins of holds, which succeed only while the hold is still needed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from django_redislock import Lock, LockError, lock
from django_redislock.local.registry import registry
from tests.known_faults.witness import Witness, give_up, in_thread
from tests.support.interruptions import pause, steps_of, stop
from tests.support.proxy import Proxy

SOON = 0.2


@pytest.mark.parametrize("options", [{}, {"reentrant": True}], ids=["plain", "reentrant"])
def test_a_thread_does_not_join_a_hold_during_its_release(
    through_proxy: Proxy, witness: Witness, options: dict[str, Any]
) -> None:
    """The server has released the lock, and the reply is on its way."""
    first, mine, others = lock("a"), lock("a", **options), witness.lock("a")
    first.acquire()
    through_proxy.hold()
    releasing = in_thread(first.release)
    witness.wait_until_free("a")
    assert others.acquire(wait=0)
    threading.Timer(SOON, through_proxy.pass_through).start()
    got = mine.acquire(wait=0)
    releasing.join()
    give_up(mine)
    give_up(others)
    assert not got


@pytest.mark.parametrize("options", [{}, {"reentrant": True}], ids=["plain", "reentrant"])
async def test_a_task_does_not_join_a_hold_during_its_release(
    through_proxy: Proxy, witness: Witness, options: dict[str, Any]
) -> None:
    first, mine, others = lock("a"), lock("a", **options), witness.lock("a")
    await first.aacquire()
    through_proxy.hold()
    releasing = asyncio.ensure_future(first.arelease())
    while witness.holds("a"):
        await asyncio.sleep(0.001)
    assert others.acquire(wait=0)
    asyncio.get_running_loop().call_later(SOON, through_proxy.pass_through)
    got = await mine.aacquire(wait=0)
    await releasing
    if got:
        with contextlib.suppress(LockError):
            await mine.arelease()
    give_up(others)
    assert not got


def wrong_about(witness: Witness, mine: Lock, got: bool, place: int) -> str:
    """Return the error in the answer to an acquire during a release, after both."""
    held = mine.token in witness.tokens(mine.name)
    give_up(mine)
    free = not witness.tokens(mine.name)
    return "" if (got, free) == (held, True) else f"place {place}: {got=}, {held=}, {free=}"


def test_a_release_at_any_moment_of_a_join_leaves_a_correct_answer(witness: Witness) -> None:
    """Either the join comes first and the hold stays, or the join asks the server."""

    def join() -> None:
        got.append(mine.acquire(wait=0))

    got: list[bool] = []
    wrong = []
    with lock("warm"):
        warm = lock("warm", reentrant=True)
        number = steps_of(warm.acquire)
        warm.release()
    for place in range(number):
        first, mine = lock(f"{place}"), lock(f"{place}", reentrant=True)
        first.acquire()
        got.clear()
        stop(join, first.release, at=place)
        wrong.append(wrong_about(witness, mine, got == [True], place))
    assert [one for one in wrong if one] == [], number


@pytest.mark.parametrize("options", [{}, {"reentrant": True}], ids=["plain", "reentrant"])
def test_a_join_at_any_moment_of_a_release_leaves_a_correct_answer(
    witness: Witness, options: dict[str, Any]
) -> None:
    """The release is in another thread, since only the owner of the hold can join it."""

    def release() -> None:
        if not pause(first.release, lambda: (reached.set(), joined.wait(SOON)), at=place):
            reached.set()

    warm = lock("warm")
    warm.acquire()
    wrong = []
    for place in range(0, steps_of(warm.release), 3):
        first, mine = lock(f"{place}"), lock(f"{place}", **options)
        reached, joined = threading.Event(), threading.Event()
        first.acquire()
        releasing = in_thread(release)
        reached.wait()
        got = mine.acquire(wait=0)
        joined.set()
        releasing.join()
        wrong.append(wrong_about(witness, mine, got, place))
    assert [one for one in wrong if one] == []


def test_a_sweep_at_any_moment_of_a_release_leaves_nothing_held(witness: Witness) -> None:
    """The sweep must not mistake a release under way for an interrupted one."""
    warm = lock("warm")
    warm.acquire()
    left = []
    for place in range(steps_of(warm.release)):
        held = lock(f"{place}")
        held.acquire()
        pause(held.release, registry.sweep, at=place)
        if witness.tokens(held.name):
            left.append(place)
    assert left == []
