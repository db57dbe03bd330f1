"""Distributed locks for Django on Redis: one holder at a time, visible, and safe by default."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .decorators import locked
from .exceptions import LockError, LockLost, LockNotAcquired, LockUnavailable
from .factory import lock
from .handler import lock_backends
from .lock import Lock
from .multi import MultiLock

if TYPE_CHECKING:
    from .commands import LockedCommand
    from .fencing import FenceField
    from .lockable import LockableManager, LockableMixin
    from .methods import locked_method
    from .views import LockedViewMixin, locked_view

__all__ = [
    "FenceField",
    "Lock",
    "LockError",
    "LockLost",
    "LockNotAcquired",
    "LockUnavailable",
    "LockableManager",
    "LockableMixin",
    "LockedCommand",
    "LockedViewMixin",
    "MultiLock",
    "lock",
    "lock_backends",
    "locked",
    "locked_method",
    "locked_view",
]

__version__ = "0.1.0"

# What needs Django's views or models is imported on first use: INSTALLED_APPS names this package
# before they may be.
_LATER = {
    "FenceField": "fencing",
    "LockableManager": "lockable",
    "LockableMixin": "lockable",
    "LockedCommand": "commands",
    "LockedViewMixin": "views",
    "locked_method": "methods",
    "locked_view": "views",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
