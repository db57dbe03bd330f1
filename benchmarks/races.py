"""Races of many waiters for one name: the rate of hand-overs, and their fairness."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

from redis import Redis

from .contestants import guard
from .server import Commands, cpu_seconds, messages
from .workers import Worker, workers

__all__ = ["Race", "idle_messages", "in_scripts", "jain", "race"]

HELD = 0.0002  # seconds that a waiter holds the lock before it asks again at once
HEAD_START = 0.3  # seconds in which the threads are started
# Seconds per waiter of a process for the rush that follows, which is not measured: all waiters ask
# at once, and some locks open a connection for each.
RUSH = 0.003

Log = list[tuple[float, float]]  # of one waiter: when it asked, and when it got the lock

_kept = contextlib.ExitStack()  # locks that a worker holds until it ends


@dataclass(frozen=True)
class Race:
    """The results of a race. A hand-over is a grant to a different waiter than the last one."""

    hand_overs: float  # a second
    longest_wait: float  # milliseconds; includes waiters that still wait at the end
    fairness: float  # Jain's index
    pairs: int
    cpu: float  # microseconds of the server a pair


def race(
    client: Redis,
    url: str,
    contestant: str,
    *,
    processes: int,
    threads: int,
    seconds: float,
    meanwhile: AbstractContextManager[object] | None = None,
) -> Race:
    """Run ``processes`` times ``threads`` waiters. Raises RuntimeError if a waiter fails."""
    name = f"race:{secrets.token_hex(4)}"
    with workers(url, processes) as racers:
        for racer in racers:
            racer.ask(_warm_up, contestant)
        opening = time.monotonic() + HEAD_START + threads / 1000
        start = opening + RUSH * threads
        for racer in racers:
            racer.begin(_compete, contestant, name, threads, opening, start, start + seconds)
        _sleep_until(start)
        with meanwhile or contextlib.nullcontext():
            before = cpu_seconds(client)
            _sleep_until(start + seconds)
            used = cpu_seconds(client) - before
        reports: list[tuple[list[Log], list[float]]] = [racer.result() for racer in racers]
    logs = [log for theirs, _ in reports for log in theirs]
    return _result(logs, [wait for _, waits in reports for wait in waits], seconds, used)


def in_scripts(
    client: Redis, url: str, contestant: str, *, processes: int, seconds: float
) -> float:
    """Return the commands in scripts per pair when this many processes want one name."""
    commands = Commands(client)
    result = race(
        client,
        url,
        contestant,
        processes=processes,
        threads=1,
        seconds=seconds,
        meanwhile=commands,
    )
    return commands.in_scripts.total() / max(1, result.pairs)


def jain(counts: Sequence[int]) -> float:
    """Return Jain's index: 1 if all got the same share, 1/n if one of n got everything."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else 0.0


def idle_messages(
    client: Redis, url: str, contestant: str, *, waiters: int, seconds: float, settle: float
) -> float:
    """Return the messages per second that this many waiting threads and the holder send."""
    with Worker(url) as worker:
        worker.ask(_hold_and_wait, contestant, f"idle:{secrets.token_hex(4)}", waiters)
        time.sleep(settle)
        before = messages(client)
        time.sleep(seconds)
        return (messages(client) - before - 1) / seconds


def _result(logs: list[Log], waiting: list[float], seconds: float, cpu: float) -> Race:
    grants = sorted((got, waiter) for waiter, log in enumerate(logs) for _, got in log)
    handed = sum(one != other for (_, one), (_, other) in pairwise(grants))
    waits = [*waiting, *(got - asked for log in logs for asked, got in log)]
    return Race(
        hand_overs=handed / seconds,
        longest_wait=max(waits, default=0.0) * 1000,
        fairness=jain([len(log) for log in logs]),
        pairs=len(grants),
        cpu=cpu / max(1, len(grants)) * 1e6,
    )


def _warm_up(contestant: str) -> None:
    take = guard(contestant)
    for _ in range(3):
        with take(f"warm-up:{secrets.token_hex(4)}"):
            pass


def _compete(
    contestant: str, name: str, threads: int, opening: float, start: float, stop: float
) -> tuple[list[Log], list[float]]:
    """Run the waiters of one process. Return the grants of each until the end, and how long the
    others have waited by then.

    They start to ask at the opening, and grants before the start do not count.

    Times are of the monotonic clock, which all processes of a machine share. The waiters are not
    joined at the end: a lock that serves a thousand waiters slowly would take minutes.
    """
    take = guard(contestant)
    logs: list[Log] = [[] for _ in range(threads)]
    asking: list[float | None] = [None] * threads
    failures: list[str] = []

    def compete(number: int) -> None:
        _sleep_until(opening)
        try:
            while (asked := time.monotonic()) < stop:
                asking[number] = asked
                with take(name):
                    logs[number].append((asked, time.monotonic()))
                    asking[number] = None
                    time.sleep(HELD)
        except Exception as error:  # noqa: BLE001 (whatever another project's lock may raise)
            failures.append(repr(error))

    for number in range(threads):
        threading.Thread(target=compete, args=(number,), daemon=True).start()
    _sleep_until(stop)
    if failures:
        raise RuntimeError(f"{len(failures)} of {threads} waiters failed: {failures[0]}")
    waiting = [stop - max(asked, start) for asked in asking if asked and asked < stop]
    return [
        [(max(asked, start), got) for asked, got in log if start <= got < stop] for log in logs
    ], waiting


def _hold_and_wait(contestant: str, name: str, waiters: int) -> None:
    take = guard(contestant)
    _kept.enter_context(take(name))

    def wait() -> None:
        with take(name):
            pass

    for _ in range(waiters):
        threading.Thread(target=wait, daemon=True).start()


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
