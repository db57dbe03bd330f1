"""Test tools for projects that use django_redislock, and for its own tests.

The names exported here do not need pytest. ``plugin.py`` has the pytest fixtures, and
``servers.py`` the server that tests start themselves.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .override import LocksLeft, override_locks
    from .servers import EmbeddedServer
    from .simulation import (
        HeldElsewhere,
        assert_locked,
        assert_not_locked,
        expire,
        held_elsewhere,
        lose,
    )

__all__ = [
    "EmbeddedServer",
    "HeldElsewhere",
    "LocksLeft",
    "assert_locked",
    "assert_not_locked",
    "expire",
    "held_elsewhere",
    "lose",
    "override_locks",
]

_ROOMS = {"EmbeddedServer": "servers", "LocksLeft": "override", "override_locks": "override"}


def __getattr__(name: str) -> Any:
    # Lazy, because settings files import their server from here and must not load django.test.
    if name in __all__:
        return getattr(import_module(f".{_ROOMS.get(name, 'simulation')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
