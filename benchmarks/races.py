"""What is measured, of one contestant at a time."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from typing import Any

from .contestants import Guard, guard, set_up

__all__ = ["contended", "crowded", "idle", "uncontended"]


def uncontended(contestant: str, cycles: int = 250) -> float:
    """Microseconds for one acquire and release that nobody contends."""
    take = guard(contestant)
    started = time.perf_counter()
    for _ in range(cycles):
        with take("uncontended"):
            pass
    return (time.perf_counter() - started) / cycles * 1e6


def _contend(
    url: str, contestant: str, seconds: float, start: Any, last: Any, results: Any
) -> None:
    set_up(url)
    take = guard(contestant)
    count, handed, longest = 0, 0, 0.0
    start.wait()
    until = time.monotonic() + seconds
    while (asked := time.monotonic()) < until:
        with take("contended"):
            longest = max(longest, time.monotonic() - asked)
            count += 1
            # The lock under test guards it.
            handed += last.value != os.getpid()
            last.value = os.getpid()
    results.put((count, handed, longest))


def contended(url: str, contestant: str, processes: int = 8, seconds: float = 3.0) -> list[float]:
    """Hand-overs a second from one process to another, acquisitions a second, the longest wait
    (ms), and the most favoured to the least.
    """
    context = multiprocessing.get_context("spawn")
    start, results, last = context.Barrier(processes), context.Queue(), context.RawValue("q", 0)
    workers = [
        context.Process(target=_contend, args=(url, contestant, seconds, start, last, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    reports = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    counts, handed, waits = zip(*reports, strict=True)
    return [
        sum(handed) / seconds,
        sum(counts) / seconds,
        max(waits) * 1000,
        max(counts) / max(1, min(counts)),
    ]


def crowded(contestant: str, threads: int = 128, seconds: float = 3.0) -> list[float]:
    """Hand-overs a second from one thread of this process to another, and the longest wait (ms)."""
    take = guard(contestant)
    start = threading.Barrier(threads)
    handed: list[int] = []
    waits: list[float] = []
    last = 0

    def contend(number: int) -> None:
        nonlocal last
        start.wait()
        until = time.monotonic() + seconds
        while (asked := time.monotonic()) < until:
            with take("crowded"):
                # The lock under test guards them.
                waits.append(time.monotonic() - asked)
                if last != number:
                    handed.append(number)
                last = number

    workers = [threading.Thread(target=contend, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [len(handed) / seconds, max(waits) * 1000]


def idle(contestant: str, waiters: int = 100, seconds: float = 3.0) -> float:
    """Messages a second that so many waiting threads send to the server."""
    from django_redis import get_redis_connection

    client = get_redis_connection()
    take = guard(contestant)
    with take("idle"):
        threads = [threading.Thread(target=_wait_once, args=(take,)) for _ in range(waiters)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        # Not the commands, of which a script counts each that it calls.
        before = client.info("stats")["total_reads_processed"]
        time.sleep(seconds)
        sent = client.info("stats")["total_reads_processed"] - before
    for thread in threads:
        thread.join()
    return float(sent / seconds)


def _wait_once(take: Guard) -> None:
    with take("idle"):
        pass
