"""What is measured, of one contestant at a time."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable

from .contestants import guard, set_up

__all__ = ["contended", "idle", "uncontended"]


def uncontended(contestant: str, cycles: int = 250) -> float:
    """Microseconds for one acquire and release that nobody contends."""
    take = guard(contestant)
    started = time.perf_counter()
    for _ in range(cycles):
        with take("uncontended"):
            pass
    return (time.perf_counter() - started) / cycles * 1e6


def _contend(url: str, contestant: str, seconds: float, start: object, results: object) -> None:
    set_up(url)
    take = guard(contestant)
    count, longest = 0, 0.0
    start.wait()  # type: ignore[attr-defined]
    until = time.monotonic() + seconds
    while (asked := time.monotonic()) < until:
        with take("contended"):
            longest = max(longest, time.monotonic() - asked)
            count += 1
    results.put((count, longest))  # type: ignore[attr-defined]


def contended(url: str, contestant: str, processes: int = 8, seconds: float = 3.0) -> list[float]:
    """Acquisitions a second, the longest wait (ms), and the most favoured to the least."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_contend, args=(url, contestant, seconds, start, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    counts, waits = zip(*(results.get(timeout=120) for _ in workers), strict=True)
    for worker in workers:
        worker.join()
    return [sum(counts) / seconds, max(waits) * 1000, max(counts) / max(1, min(counts))]


def idle(contestant: str, waiters: int = 100, seconds: float = 3.0) -> float:
    """Commands a second that so many waiting threads cost."""
    from django_redis import get_redis_connection

    client = get_redis_connection()
    take = guard(contestant)
    with take("idle"):
        threads = [threading.Thread(target=_wait_once, args=(take,)) for _ in range(waiters)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        before = client.info("stats")["total_commands_processed"]
        time.sleep(seconds)
        commands = client.info("stats")["total_commands_processed"] - before
    for thread in threads:
        thread.join()
    return float(commands / seconds)


def _wait_once(take: Callable[[str], object]) -> None:
    with take("idle"):  # type: ignore[attr-defined]
        pass
