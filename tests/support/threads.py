"""Control over the package's own threads: when none can start, and when all have ended."""

from __future__ import annotations

import _thread
import contextlib
import threading
from typing import TYPE_CHECKING
from unittest import mock

from django_redislock.local.background import background
from django_redislock.local.registry import registry
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

__all__ = ["end_our_threads", "no_thread_can_start", "our_threads"]

# How many seconds a thread of each kind stays when idle, and how many seconds counted figures wait
# in one.
LINGERING = (
    "django_redislock.events.SEND_EVERY",
    "django_redislock.local.renewal.LINGER",
    "django_redislock.local.background.LINGER",
    "django_redislock.backends.redis.breaker.LINGER",
    "django_redislock.backends.redis.wakeups.connection.LINGER",
)


@contextlib.contextmanager
def no_thread_can_start() -> Iterator[list[object]]:
    """Let no thread start, as at a container's limit of processes. Yields the refused ones."""
    refused: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        refused.append(args)
        raise RuntimeError("can't start new thread")

    with (
        mock.patch.object(_thread, "start_new_thread", refuse),
        mock.patch.object(threading.Thread, "start", refuse),
    ):
        yield refused


def our_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("django_redislock")]


def end_our_threads(monkeypatch: pytest.MonkeyPatch, linger: float = 0.2) -> None:
    """Wait until threads of earlier tests have ended. Later ones stay for `linger` seconds.

    Forget locks that are still held: a traceback may keep the handle, and so the hold's thread.
    """
    with monkeypatch.context() as now:
        for path in LINGERING:
            now.setattr(path, 0.05)
        background.end(30)
        registry.reset()
        wait_until(lambda: our_threads() == [], what=_WhatIsLeft())
    for path in LINGERING:
        monkeypatch.setattr(path, linger)


class _WhatIsLeft:
    """Describes on demand what keeps our threads alive."""

    def __str__(self) -> str:
        holds = [hold.name for hold in [*registry.holds]]
        return f"the end of {our_threads()}; held: {holds}; under way: {[*registry.attempts]}"
