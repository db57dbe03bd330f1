"""Attempts of threads and tasks, whose grants replicas may have to acknowledge."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from django_redislock import LockNotAcquired, LockUnavailable, lock, lock_backends

__all__ = ["attempt", "failing", "fails", "is_held", "kinds", "taking"]

kinds = pytest.mark.parametrize("kind", ["thread", "task"])


def attempt(kind: str, name: str, wait: float = 0.0) -> None:
    """Take a lock and release it."""

    async def take() -> None:
        async with lock(name, wait=wait):
            pass

    if kind == "task":
        asyncio.run(take())
    else:
        with lock(name, wait=wait):
            pass


def taking(kind: str, name: str, wait: float = 0.0) -> tuple[threading.Thread, list[str]]:
    """A thread that takes a lock, and a list to which it then adds the name."""
    taken: list[str] = []

    def take() -> None:
        while not taken:
            # This machine may be suspended for too long. The grant is then given back, but perhaps
            # only after the next attempt.
            with suppress(LockUnavailable, LockNotAcquired):
                attempt(kind, name, wait)
                taken.append(name)

    return threading.Thread(target=take), taken


def fails(kind: str, name: str, wait: float = 0.0) -> None:
    """Try to take a lock that is unavailable."""
    with pytest.raises(LockUnavailable):
        attempt(kind, name, wait)


def failing(kind: str, name: str) -> tuple[threading.Thread, list[str]]:
    """A thread whose attempt must fail, and a list to which it then adds the name."""
    refused: list[str] = []

    def try_() -> None:
        fails(kind, name)
        refused.append(name)

    return threading.Thread(target=try_), refused


def is_held(name: str) -> bool:
    """Whether the server has a hold of the name, by the alias that asks no replicas."""
    return bool(lock_backends["plain"].inspect(name)[0])
