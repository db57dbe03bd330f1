"""Distributed locks for Django on Redis: one holder at a time, visible, and safe by default."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps as django_apps

from .exceptions import LockError, LockLost, LockNotAcquired, LockUnavailable
from .functions.decorator import locked
from .handler import lock_backends
from .handles import Lock, MultiLock, lock

if TYPE_CHECKING:
    from .commands import LockedCommand
    from .rows.fencing import FenceField
    from .rows.lockable import LockableMixin
    from .rows.methods import locked_method
    from .rows.querysets import LockableManager, LockableQuerySet
    from .views.decorator import locked_view
    from .views.mixin import LockedViewMixin
    from .views.responses import busy_response

__all__ = [
    "FenceField",
    "Lock",
    "LockError",
    "LockLost",
    "LockNotAcquired",
    "LockUnavailable",
    "LockableManager",
    "LockableMixin",
    "LockableQuerySet",
    "LockedCommand",
    "LockedViewMixin",
    "MultiLock",
    "busy_response",
    "lock",
    "lock_backends",
    "locked",
    "locked_method",
    "locked_view",
]

__version__ = "0.1.0"

# Names that need Django's views or models are imported on first use: INSTALLED_APPS loads this
# package before these may be imported.
_LATER = {
    "FenceField": "rows.fencing",
    "LockableManager": "rows.querysets",
    "LockableMixin": "rows.lockable",
    "LockableQuerySet": "rows.querysets",
    "LockedCommand": "commands",
    "LockedViewMixin": "views.mixin",
    "busy_response": "views.responses",
    "locked_method": "rows.methods",
    "locked_view": "views.decorator",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)


def __dir__() -> list[str]:
    # help() shows each of these, which fails until Django is set up: FenceField inherits texts that
    # are to be translated.
    return sorted({*globals(), *(__all__ if django_apps.ready else ())})
