"""``override_locks``: other locks than the settings say, for a while, with nothing left held."""

from __future__ import annotations

import secrets
from contextlib import suppress
from types import TracebackType
from typing import Any

from django.conf import settings
from django.test.utils import TestContextDecorator, override_settings

from ..conf import DEFAULT_LOCK_ALIAS, LockConfig
from ..exceptions import LockError, readable
from ..local.hold import LocalHold
from ..local.registry import registry

__all__ = ["LocksLeft", "override_locks"]

MEMORY = "django_redislock.backends.memory.MemoryLockBackend"
CACHE = "django_redislock_testing"


class LocksLeft(AssertionError):
    """Locks were still held when they should all have been released; the message names them."""


class override_locks(override_settings):
    """Decorator or context manager: locks in memory, or in the Redis at ``redis_url``.

    All aliases of ``LOCKS`` keep what their entries say, but for where their locks live and for
    what is given here: ``override_locks(LEASE=1, WAIT=0)``. In Redis they get a prefix of their
    own, unless ``KEY_PREFIX`` is given. Decorates functions, coroutine functions and ``TestCase``
    classes.

    At the end, what this process has acquired meanwhile and still holds is released, and raises
    ``LocksLeft`` unless another exception is on its way.
    """

    def __init__(self, redis_url: str | None = None, /, **entry: Any) -> None:
        if redis_url is not None and not (isinstance(redis_url, str) and "://" in redis_url):
            # Without parentheses the test that it decorates would become this, and never run.
            raise TypeError(
                f"override_locks() takes the address of a Redis server, not {redis_url!r}. As a "
                "decorator it needs its parentheses: @override_locks()."
            )
        super().__init__()
        self._redis_url = redis_url
        self._entry = entry
        self._held_before: set[LocalHold] = set()

    def enable(self) -> None:
        self.options = self._overridden()
        self._held_before = set(registry.holds)
        super().enable()

    def disable(self) -> None:
        left = self._release_all()
        super().disable()
        if left:
            raise LocksLeft(f"Still held at the end, and now released: {', '.join(left)}.")

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

    def decorate_class(self, cls: Any) -> Any:
        # Django would add to the settings of a whole TestCase class, before its setUpClass.
        return TestContextDecorator.decorate_class(self, cls)

    def _overridden(self) -> dict[str, Any]:
        configured = getattr(settings, "LOCKS", {})
        aliases = {DEFAULT_LOCK_ALIAS: {}, **configured}
        place: dict[str, Any] = {"BACKEND": MEMORY, "OPTIONS": {}}
        if self._redis_url is None:
            locks = {alias: {**entry, **place, **self._entry} for alias, entry in aliases.items()}
            return {"LOCKS": locks}
        place |= {"BACKEND": LockConfig.backend, "CACHE": CACHE}
        world = f"test-{secrets.token_hex(6)}"
        locks = {}
        for alias, entry in aliases.items():
            own_prefix = entry.get("KEY_PREFIX", LockConfig.key_prefix)
            prefix = {"KEY_PREFIX": f"{own_prefix}-{world}"}
            locks[alias] = {**entry, **place, **prefix, **self._entry}
        cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": self._redis_url}
        return {"LOCKS": locks, "CACHES": {**settings.CACHES, CACHE: cache}}

    def _release_all(self) -> list[str]:
        """Release what is held since the beginning; return what a handle still holds."""
        forgotten = []
        for hold in list(registry.holds):
            if hold in self._held_before:
                continue
            if hold.alive and hold.is_needed() and not hold.is_kept_by_transactions:
                forgotten.append(_described(hold))
            hold.decide()
            registry.holds.pop(hold, None)
            with suppress(LockError):
                hold.backend.release(hold.name, hold.token)
        return forgotten


def _described(ours: LocalHold) -> str:
    name = repr(readable(ours.name))
    with suppress(LockError):
        for hold in ours.backend.inspect(ours.name)[0]:
            if hold.token == ours.token:
                return f"{name} (by {readable(hold.holder)})"
    return name
