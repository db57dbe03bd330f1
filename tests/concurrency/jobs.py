"""Jobs of worker processes that use locks."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django_redislock import LockLost, lock, lock_backends
from tests.support.places import Place
from tests.support.processes import stay, wait_until

FOR_EVER = 600.0


def queue_length(name: str) -> int:
    return len(lock_backends["default"].inspect(name)[1])


def since(name: str) -> float:
    """When the current holder was granted the name, in seconds on the server's clock."""
    return lock_backends["default"].inspect(name)[0][0].since.timestamp()


def server_time(place: Place) -> float:
    with place.client() as client:
        seconds, microseconds = client.time()
    return seconds + microseconds / 1e6


def take(place: Place, name: str, options: dict[str, Any]) -> tuple[int, float]:
    """Wait for a lock; return its fence, and when it was granted by the server's clock."""
    place.use()
    with lock(name, wait=FOR_EVER, **options) as held:
        return held.fence, since(name)


def take_in_threads(place: Place, name: str, threads: int) -> list[int]:
    """Let several threads wait for a lock; return their fences."""
    place.use()

    def in_thread(_: int) -> int:
        with lock(name, wait=FOR_EVER) as held:
            return held.fence

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(in_thread, range(threads)))


def hold(place: Place, name: str, held_as: Any, options: dict[str, Any]) -> None:
    """Hold a lock until the process is killed; put the token and the fence into a queue."""
    place.use()
    with lock(name, **options) as held:
        held_as.put((held.token, held.fence))
        stay()


def hold_until_lost(
    place: Place, name: str, held_as: Any, options: dict[str, Any]
) -> tuple[bool, str, int]:
    """Hold until it is lost; return whether that was reported, the reason, and the fence."""
    place.use()
    reported = []
    try:
        with lock(name, on_lost=lambda held: reported.append(held.name), **options) as held:
            held_as.put((held.token, held.fence))
            held.lost.wait(FOR_EVER)
    except LockLost:
        # The event is set first, then the callback is called in another thread.
        wait_until(lambda: reported, within=20)
        return reported == [name], held.lost.reason, held.fence
    return False, held.lost.reason, held.fence


def increment(index: int, place: Place, rounds: int) -> int:
    """Read, compute and write, as code without a lock loses updates."""
    place.use()
    counter = f"{place.prefix}:counter"
    with place.client() as client:
        for _ in range(rounds):
            with lock("counter", wait=FOR_EVER):
                client.set(counter, int(client.get(counter) or 0) + 1, ex=600)
    return rounds


def take_turns(place: Place, threads: int, tasks: int, total: int) -> list[tuple[str, int, int]]:
    """Let threads and tasks take turns until all processes together have had `total` turns.

    Returns for each the token and the fence of its first turn, and the number of its turns.
    """
    place.use()
    turns = f"{place.prefix}:turns"
    client = place.client()

    def is_over() -> bool:
        client.expire(turns, 600)
        return client.incr(turns) > total

    def in_thread(_: int) -> tuple[str, int, int]:
        first, count = None, 0
        while True:
            with lock("turn", wait=FOR_EVER) as held:
                first = first or (held.token, held.fence)
                if is_over():
                    return (*first, count)
                count += 1

    async def in_task() -> tuple[str, int, int]:
        first, count = None, 0
        while True:
            async with lock("turn", wait=FOR_EVER) as held:
                first = first or (held.token, held.fence)
                if is_over():
                    return (*first, count)
                count += 1

    async def in_tasks() -> list[tuple[str, int, int]]:
        return await asyncio.gather(*(in_task() for _ in range(tasks)))

    with ThreadPoolExecutor(threads + 1) as pool:
        loop = pool.submit(lambda: asyncio.run(in_tasks()))
        of_threads = list(pool.map(in_thread, range(threads)))
        return [*of_threads, *loop.result()]


def sleep_as_child() -> int:
    """Fork a child that does nothing; return its process id."""
    pid = os.fork()
    if pid == 0:
        time.sleep(FOR_EVER)
        os._exit(0)
    return pid
