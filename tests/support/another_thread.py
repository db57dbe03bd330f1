"""Calls in another thread, which shares no hold and no transaction with this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django_redislock import lock

T = TypeVar("T")

WITHIN = 30.0


def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Call the function in another thread; return its result, or raise its exception."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(WITHIN)


def is_free(name: str) -> bool:
    """Whether another thread could acquire the lock now."""

    def ask() -> bool:
        other = lock(name)
        if not other.acquire(wait=0):
            return False
        other.release()
        return True

    return in_thread(ask)
