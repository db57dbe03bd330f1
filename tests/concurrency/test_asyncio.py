"""Coroutines: cancellations at any await, and event loops that begin and end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.local.registry import registry
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.settled import settle


@types.coroutine
def cancelled_at(coroutine: Coroutine[Any, Any, Any], number: int) -> Iterator[Any]:
    """Await a coroutine, and cancel the task at await `number`; raise EOFError without one."""
    send, value = coroutine.send, None
    for count in itertools.count(1):
        try:
            future = send(value)
        except StopIteration:
            raise EOFError from None
        if count == number:
            asyncio.current_task().cancel()
        try:
            send, value = coroutine.send, (yield future)
        except BaseException as error:  # noqa: BLE001 - it is the coroutine's
            send, value = coroutine.throw, error
        if count == number:
            # The rest of the coroutine runs undisturbed.
            while True:
                try:
                    future = send(value)
                except StopIteration:
                    return None
                try:
                    send, value = coroutine.send, (yield future)
                except BaseException as error:  # noqa: BLE001
                    send, value = coroutine.throw, error


async def block(name: str) -> None:
    async with lock(name, wait=20, lease=30):
        await asyncio.sleep(0)


async def verbs(name: str) -> None:
    handle = lock(name, wait=20, lease=30)
    await handle.aacquire()
    try:
        await handle.aextend(60)
    finally:
        await handle.arelease()


async def several(name: str) -> None:
    async with lock([f"{name} {part}" for part in "abc"], wait=20, lease=30) as all_of_them:
        await all_of_them.aextend(60)


async def contended(name: str) -> None:
    """Wait for a lock that is held for a moment."""
    held = lock(name, lease=30)
    await held.aacquire()
    asyncio.get_running_loop().call_later(0.02, lambda: asyncio.ensure_future(held.arelease()))
    try:
        await block(name)
    finally:
        while held.held:
            await asyncio.sleep(0.001)


async def given_up(name: str) -> None:
    async with lock(name, lease=30):
        assert not await lock(name).aacquire(wait=0.01)


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize("work", [block, verbs, several, contended, given_up])
async def test_a_cancellation_at_any_await_leaves_nothing_held(
    settings: Any, work: Any, using: str
) -> None:
    settings.LOCKS = {"default": settings.LOCKS[using]}
    backend = lock_backends["default"]
    await block("warm")
    number = undisturbed = 0
    # The number of awaits depends on which data has already arrived, so try a few more.
    while undisturbed < 3:
        number += 1
        task = asyncio.ensure_future(cancelled_at(work(f"name {number}"), number))
        try:
            await task
            pytest.fail(f"the cancellation at await {number} was swallowed")
        except asyncio.CancelledError:
            undisturbed = 0
        except EOFError:
            undisturbed += 1
        await asyncio.to_thread(settle)
        # Releases in the background are done long before the lease of 30 seconds is over.
        for _ in range(2000):
            if not backend.list().holds:
                break
            await asyncio.sleep(0.01)
        assert backend.list().holds == [], f"after a cancellation at await {number}"
        for name in (f"name {number}", f"name {number} a"):
            assert backend.inspect(name) == ([], [])
        assert not backend.waiters
        assert list(registry.holds) == []
    assert number > 3 or using == "memory"


async def test_a_waiting_task_that_is_cancelled_leaves_the_queue() -> None:
    backend = lock_backends["default"]
    async with lock("a"):
        tasks = [asyncio.create_task(lock("a").aacquire(wait=30)) for _ in range(20)]
        while len(backend.inspect("a")[1]) < 20:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(settle)
        assert all(task.cancelled() for task in tasks)
        assert backend.inspect("a")[1] == []


async def test_a_time_limit_ends_a_wait() -> None:
    async with lock("a"):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lock("a").aacquire(wait=30), 0.05)


@pytest.mark.parametrize("using", ["default", "memory"])
def test_several_event_loops_share_the_locks_of_a_process(using: str) -> None:
    counter = 0

    async def increment() -> None:
        nonlocal counter
        async with lock("counter", using=using, wait=50):
            read = counter
            await asyncio.sleep(0)
            counter = read + 1

    async def increment_often() -> None:
        for _ in range(10):
            await asyncio.gather(*(increment() for _ in range(5)))

    threads = [threading.Thread(target=lambda: asyncio.run(increment_often())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == 4 * 10 * 5


async def test_lost_can_be_awaited() -> None:
    held = lock("a", renew=False)
    await held.aacquire()
    await held.aextend(0.1)
    await asyncio.wait_for(held.lost, 30)
    assert held.lost.is_set()
    await asyncio.wait_for(held.lost, 10)  # and once more


def test_a_lock_taken_by_a_coroutine_is_released_by_a_thread(place: Place) -> None:
    handle = lock("a")
    asyncio.run(handle.aacquire())
    handle.release()
    assert lock_backends["default"].inspect("a") == ([], [])


def test_ended_event_loops_are_not_kept(place: Place) -> None:
    """`async_to_sync` makes an event loop for each call."""
    wire = lock_backends["default"].node.async_wire
    earlier = set(wire._all())
    loops = []
    for number in range(5):
        loop = asyncio.new_event_loop()
        loops.append(weakref.ref(loop))
        handle = lock(f"name {number}")
        loop.run_until_complete(handle.aacquire())
        loop.run_until_complete(handle.arelease())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    del loop

    def are_gone() -> bool:
        gc.collect()
        return set(wire._all()) <= earlier and not any(loop() for loop in loops)

    wait_until(are_gone)  # the threads that have connected end


def test_a_loop_that_was_only_closed_keeps_its_connection_until_the_next_one_is_used(
    place: Place,
) -> None:
    """Code that makes a loop for each call may end it so, without `shutdown_asyncgens()`."""
    wire = lock_backends["default"].node.async_wire
    loops = [asyncio.new_event_loop() for _ in range(4)]
    for loop in loops:
        handle = lock("a")
        loop.run_until_complete(handle.aacquire())
        release = loop.create_task(handle.arelease())
        loop.run_until_complete(release if loop is loops[0] else asyncio.sleep(0, loop))
        loop.close()
        wait_until(lambda: not lock_backends["default"].inspect("a")[0])
    made = [one for one in wire._all() if one.loop in loops]
    assert [one.loop for one in made if one.for_all._link is not None] == loops[-1:]
    made[-1].leave()


@pytest.mark.parametrize("what", ["a", ["a", "b"]])
def test_an_acquire_whose_event_loop_was_closed_leaves_the_queue(place: Place, what: Any) -> None:
    backend = lock_backends["default"]
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[bool]:
        task = asyncio.create_task(lock(what).aacquire(wait=60))
        while not backend.inspect("a")[1]:
            await asyncio.sleep(0.001)
        return task

    with lock("a"):
        # While something refers to the task, its coroutine is not closed.
        task = loop.run_until_complete(begin())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        wait_until(lambda: not backend.inspect("a")[1])
        assert not task.done()
        wait_until(lambda: not registry.attempts)
        assert not backend.waiters
    with lock(what):
        pass


def test_a_release_whose_event_loop_was_closed_is_done_in_the_background(place: Place) -> None:
    backend = lock_backends["default"]
    loop = asyncio.new_event_loop()
    held = lock("a", lease=300)
    loop.run_until_complete(held.aacquire())
    task = loop.create_task(held.arelease())
    loop.run_until_complete(asyncio.sleep(0))  # it begins, and has not sent anything yet
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    wait_until(lambda: not backend.inspect("a")[0])
    asyncio.run(held.aowned())  # closes the connection that the other loop has left open
    del task


PROGRAM = """
import asyncio, gc, threading
import django; django.setup()
from django_redislock import lock
from tests.support.settled import settle

async def work(name):
    async with lock(name):
        assert not await lock(name).aacquire(wait=0.05)

async def cancelled():
    async with lock("resource warnings"):
        waiting = asyncio.create_task(lock("resource warnings").aacquire(wait=9))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

for _ in range(3):
    asyncio.run(work("resource warnings"))
    gc.collect()
asyncio.run(cancelled())
gc.collect()
with lock("resource warnings", wait=20):
    pass
print("done")
"""


def test_ended_event_loops_leave_no_connection_open() -> None:
    """In the development mode of Python, which names every socket that was not closed."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    # In this mode asyncio also reports slow callbacks, which a busy machine causes.
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert complaints == []
