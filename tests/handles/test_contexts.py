"""Owners of holds: a reentrant handle joins only a hold of its own thread or task."""

from __future__ import annotations

import asyncio
import gc
import threading

from django.db import connections

from django_redislock import lock
from django_redislock.transactions import Tie


def test_a_thread_does_not_join_the_hold_of_an_ended_thread_with_the_same_id(using: str) -> None:
    """Thread ids are reused, and a handle may outlive the thread that acquired it."""
    joined, same = [], []

    def again(number: int | None) -> None:
        same.append(threading.get_ident() == number)
        joined.append(lock("a", using=using, reentrant=True, token=None).acquire(wait=0))

    for _ in range(100):
        handle = lock("a", using=using)
        first = threading.Thread(target=handle.acquire)
        first.start()
        first.join()
        # One of the package's own threads may have the id; then try another thread.
        for _ in range(100):
            thread = threading.Thread(target=again, args=(first.ident,))
            thread.start()
            thread.join()
            if same[-1]:
                break
        handle.release()
        if same[-1]:
            break
    assert same[-1], "no thread has got the number of the first"
    assert not any(joined), "two threads held it at once"


async def test_a_task_does_not_join_the_hold_of_an_ended_task_with_the_same_id(using: str) -> None:
    handle = lock("a", using=using)
    joined = []

    async def first() -> int:
        await handle.aacquire()
        return id(asyncio.current_task())

    async def again(number: int) -> bool:
        joined.append(await lock("a", using=using, reentrant=True).aacquire(wait=0))
        return id(asyncio.current_task()) == number

    number = await asyncio.create_task(first())
    gc.collect()
    for _ in range(200):
        if await asyncio.create_task(again(number)):
            break
    await handle.arelease()
    assert not any(joined), "two tasks held it at once"


def test_a_held_handle_may_be_garbage_collected_during_an_acquire(using: str) -> None:
    """For example with a database connection that is dropped during a transaction."""
    joined, connection = [], connections["default"]

    def take() -> None:
        left, taken = lock("left", using=using), lock("a", using=using)
        left.acquire()
        cycle: list[object] = [Tie(left, left._hold, connection)]
        cycle.append(cycle)
        left.release()
        del left, cycle
        thresholds = gc.get_threshold()
        gc.set_threshold(1)
        try:
            taken.acquire()
        finally:
            gc.set_threshold(*thresholds)
        with lock("a", using=using, reentrant=True, wait=0):
            joined.append(True)
        taken.release()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(10)
    assert joined == [True]
    with lock("left", using=using, wait=5):
        pass
