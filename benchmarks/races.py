"""What is measured, of one contestant at a time."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from typing import Any

from .contestants import Guard, guard, set_up

__all__ = ["contended", "crowded", "idle", "served", "uncontended"]

# What the benchmark itself asks, and what a process sends that has nothing to do with its locks.
_ASIDE = {"info", "config|resetstat", "client|setinfo", "hello", "script|load", "ssubscribe"}


def uncontended(contestant: str, cycles: int = 250) -> float:
    """Microseconds for one acquire and release that nobody contends."""
    take = guard(contestant)
    started = time.perf_counter()
    for _ in range(cycles):
        with take("uncontended"):
            pass
    return (time.perf_counter() - started) / cycles * 1e6


def served(contestant: str, cycles: int = 250) -> float:
    """Microseconds of the server's time in scripts for one acquire and release."""
    from django_redis import get_redis_connection

    client = get_redis_connection()
    take = guard(contestant)
    with take("served"):
        pass
    client.config_resetstat()
    for _ in range(cycles):
        with take("served"):
            pass
    stats = client.info("commandstats")
    scripts = (stats.get(f"cmdstat_{command}", {}) for command in ("eval", "evalsha"))
    return sum(float(script.get("usec", 0)) for script in scripts) / cycles


def _commands(client: Any) -> int:
    stats = client.info("commandstats").items()
    return sum(stat["calls"] for name, stat in stats if name.removeprefix("cmdstat_") not in _ASIDE)


def _cpu(client: Any) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_sys"] + info["used_cpu_user"])


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
    (ms), the most favoured to the least; and for one acquisition with its release the number of
    Redis commands, those in scripts included, and the server's CPU time (us).
    """
    from django_redis import get_redis_connection

    client = get_redis_connection()
    context = multiprocessing.get_context("spawn")
    start, results, last = context.Barrier(processes), context.Queue(), context.RawValue("q", 0)
    workers = [
        context.Process(target=_contend, args=(url, contestant, seconds, start, last, results))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    # The barrier opens when the last of them is ready; what came before hardly counts.
    client.config_resetstat()
    cpu = _cpu(client)
    reports = [results.get(timeout=120) for _ in workers]
    cpu, commands = _cpu(client) - cpu, _commands(client)
    for worker in workers:
        worker.join()
    counts, handed, waits = zip(*reports, strict=True)
    return [
        sum(handed) / seconds,
        sum(counts) / seconds,
        max(waits) * 1000,
        max(counts) / max(1, min(counts)),
        commands / max(1, sum(counts)),
        cpu / max(1, sum(counts)) * 1e6,
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
