"""Somebody else: another thread, or another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django_redislock import lock
from tests.support.places import Place
from tests.support.processes import stay

T = TypeVar("T")


def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call it in another thread, and wait for what it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(30)


def is_free(name: str) -> bool:
    """Whether somebody else could have the lock now."""

    def ask() -> bool:
        other = lock(name)
        if not other.acquire(wait=0):
            return False
        other.release()
        return True

    return in_thread(ask)


def hold(place: Place, name: str, holds: Any, lease: float) -> None:
    """Hold a lock in a process of its own until that is killed; say so in a queue."""
    place.use()
    with lock(name, lease=lease, label="nightly"):
        holds.put(True)
        stay()


def run_report(place: Place, name: str, late: float) -> str:
    """The job of a server whose clock is late by so many seconds."""
    from django_redislock import locked

    place.use()

    @locked(name, wait=0, on_busy="skip", default="skipped", min_hold=60)
    def report() -> str:
        return "sent"

    time.sleep(late)
    return report()
