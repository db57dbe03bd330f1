"""Locks that a thread or a task takes, where replicas may have to acknowledge that."""

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
    """A thread that takes a lock, and the list to which it adds the name then."""
    taken: list[str] = []

    def take() -> None:
        while not taken:
            # This machine may stand still for too long. What is given back then may not have been
            # at the next attempt.
            with suppress(LockUnavailable, LockNotAcquired):
                attempt(kind, name, wait)
                taken.append(name)

    return threading.Thread(target=take), taken


def fails(kind: str, name: str, wait: float = 0.0) -> None:
    """Try to take a lock that cannot be had."""
    with pytest.raises(LockUnavailable):
        attempt(kind, name, wait)


def failing(kind: str, name: str) -> tuple[threading.Thread, list[str]]:
    """A thread that tries to take a lock, and the list to which it adds the name if it cannot."""
    refused: list[str] = []

    def try_() -> None:
        fails(kind, name)
        refused.append(name)

    return threading.Thread(target=try_), refused


def is_held(name: str) -> bool:
    """Whether the server knows of a hold, by the alias that asks no replicas."""
    return bool(lock_backends["plain"].inspect(name)[0])
