"""``override_locks``: temporary lock settings for tests, with a check that no hold is left."""

from __future__ import annotations

import inspect
import os
import secrets
import socket
import unittest
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from django.conf import settings
from django.test import SimpleTestCase
from django.test.utils import TestContextDecorator, override_settings

from ..backends.base import BaseLockBackend, Hold
from ..conf import DEFAULT_LOCK_ALIAS, LockConfig, read_settings
from ..exceptions import LockError, readable
from ..handler import lock_backends
from ..local.background import background
from ..local.hold import LocalHold
from ..local.registry import registry

__all__ = ["LocksLeft", "override_locks"]

MEMORY = "django_redislock.backends.memory.MemoryLockBackend"
# Typed as Any because its private attributes are missing from type stubs.
_lazy: Any = settings

# Options in LOCKS that determine where locks are stored.
PLACES = ("BACKEND", "CACHE", "LOCATION", "OPTIONS")

# How long (seconds) to wait for releases that this process still sends in the background.
FLUSHED_WITHIN = 1.0
# How many live holds are searched for dropped ones.
MOST = 1000


class LocksLeft(AssertionError):
    """Locks were still held when they should all have been released; the message names them."""


class override_locks(override_settings):
    """Decorator or context manager: locks in memory, or in the Redis at ``redis_url``.

    All aliases of ``LOCKS`` keep their options, except where their locks are stored and the options
    given here: ``override_locks(LEASE=1, WAIT=0)``. In Redis each alias gets a key prefix of its
    own, unless ``KEY_PREFIX`` is given. It can decorate functions, coroutine functions and
    ``TestCase`` classes.

    At the end, any lock that this process has acquired since the start and still holds is released,
    and ``LocksLeft`` is raised unless another exception is propagating. The backends are searched
    for such holds, so that dropped handles count too.
    """

    def __init__(self, redis_url: str | None = None, /, **entry: Any) -> None:
        if redis_url is not None and not (isinstance(redis_url, str) and "://" in redis_url):
            # Used without parentheses, this would replace the decorated test, which never ran.
            advice = (
                "Write redis://host:6379/0."
                if isinstance(redis_url, str)
                else "As a decorator it needs its parentheses: @override_locks()."
            )
            raise TypeError(
                f"override_locks() takes the address of a Redis server, not {redis_url!r}. {advice}"
            )
        super().__init__()
        self._redis_url = redis_url
        self._entry = entry
        self._held_before: set[LocalHold] = set()
        self._layer: Any = None

    def enable(self) -> None:
        self.options = self._overridden(getattr(settings, "LOCKS", {}))
        self._held_before = set(registry.holds)
        super().enable()
        self._layer = _lazy._wrapped
        try:
            # Report configuration errors here, and not at the first use of a lock.
            lock_backends.all()
        except BaseException:
            self._take_away()
            raise

    def disable(self) -> None:
        left = self._release_all()
        self._take_away()
        if left:
            raise LocksLeft(f"Still held at the end, and now released: {', '.join(left)}.")

    def _take_away(self) -> None:
        if _lazy._wrapped is not self._layer:
            # Settings overridden later, as by pytest-django's ``settings``, are still active, and
            # restore this layer when they end. So it must not keep our options.
            for name in self.options:
                vars(self._layer).pop(name, None)
            self.wrapped = _lazy._wrapped
        super().disable()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.disable()
        except LocksLeft:
            if exc_value is None:
                raise

    def decorate_callable(self, func: Any) -> Any:
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            # Its code runs after the call, such as that of a fixture, and so with the real locks.
            raise TypeError(
                f"override_locks() cannot decorate the generator {func.__qualname__}(): write "
                "`with override_locks():` in it."
            )
        return super().decorate_callable(func)

    def decorate_class(self, cls: Any) -> Any:
        if not issubclass(cls, unittest.TestCase):
            raise TypeError(
                f"override_locks() decorates functions and test cases, and {cls.__name__} is "
                'neither. With pytest write @pytest.mark.usefixtures("locks") above it; '
                "locks.override() in a test takes what override_locks() takes."
            )
        if issubclass(cls, SimpleTestCase):
            # For what setUpClass() and setUpTestData() do.
            earlier: dict[str, Any] = getattr(cls, "_overridden_settings", None) or {}
            self.options = self._overridden(earlier.get("LOCKS", getattr(settings, "LOCKS", {})))
            super().decorate_class(cls)
        # Each test has locks of its own.
        return TestContextDecorator.decorate_class(self, cls)

    def _overridden(self, configured: Any) -> dict[str, Any]:
        read_settings(configured)
        place: dict[str, Any] = {"BACKEND": MEMORY, "OPTIONS": {}}
        if self._redis_url is not None:
            place |= {"BACKEND": LockConfig.backend, "LOCATION": self._redis_url}
        world = f"test-{secrets.token_hex(6)}"
        locks = {}
        for alias, entry in {DEFAULT_LOCK_ALIAS: {}, **configured}.items():
            kept = {name: value for name, value in entry.items() if name not in PLACES}
            if self._redis_url is not None:
                own_prefix = entry.get("KEY_PREFIX", LockConfig.key_prefix)
                kept["KEY_PREFIX"] = f"{own_prefix}-{world}"
            locks[alias] = {**kept, **place, **self._entry}
        return {"LOCKS": locks}

    def _release_all(self) -> list[str]:
        """Release the locks acquired since the start; describe those that were left held."""
        forgotten = []
        tokens = {hold.token for hold in self._held_before}
        for ours in list(registry.holds):
            if ours in self._held_before:
                continue
            tokens.add(ours.token)
            if ours.alive and not ours.is_kept_by_transactions:
                forgotten.append(_described(ours))
            ours.decide()
            registry.holds.pop(ours, None)
            with suppress(LockError):
                ours.backend.release(ours.name, ours.token)
        return forgotten + [
            f"{hold.name!r} (by {readable(hold.holder)})"
            for backend in lock_backends.all(initialized_only=True)
            for hold in _dropped(backend, tokens)
        ]


def _dropped(backend: BaseLockBackend, known: set[str]) -> Iterator[Hold]:
    """Release and yield holds of this process that have no handle left to release them."""
    background.flush(FLUSHED_WITHIN)
    with suppress(LockError):
        for hold in backend.list(0, MOST).holds:
            if hold.token in known or hold.detached or hold.damaged:
                continue
            if (hold.holder.host, hold.holder.pid) != (socket.gethostname(), os.getpid()):
                continue
            if backend.release(hold.name, hold.token):
                yield hold


def _described(ours: LocalHold) -> str:
    name = repr(readable(ours.name))
    with suppress(LockError):
        for hold in ours.backend.inspect(ours.name)[0]:
            if hold.token == ours.token:
                return f"{name} (by {readable(hold.holder)})"
    return name
