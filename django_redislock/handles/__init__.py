"""``lock()`` and the handles that it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, overload

from ..conf import DEFAULT_LOCK_ALIAS
from ..handler import lock_backends
from ..holder import caller
from ..names import check_name
from ..options import LockOptions, Terms, documented
from .multi import MultiLock
from .single import Lock

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Lock", "MultiLock", "Names", "lock"]

Names: TypeAlias = "list[str] | tuple[str, ...] | set[str] | frozenset[str]"


@overload
def lock(name: str, **options: Unpack[LockOptions]) -> Lock: ...
@overload
def lock(name: Names, **options: Unpack[LockOptions]) -> MultiLock: ...


@documented()
def lock(name: str | Names, *others: Any, **options: Unpack[LockOptions]) -> Lock | MultiLock:
    """Return a handle for the lock of this name, or for the locks of several names together.

    Nothing is held until ``acquire()`` or ``with``. Times are seconds or timedeltas; an option that
    is None takes its value from ``LOCKS[using]``.

    Raises ``ValueError`` or ``TypeError`` for invalid arguments, and ``InvalidLockBackend`` if
    ``LOCKS`` has no such alias as ``using``.
    """
    if others:
        raise TypeError(
            "lock() takes a name or a list of names, and options as keywords: "
            'lock("feed:7", wait=5).'
        )
    using = options.pop("using", None)
    backend = lock_backends[DEFAULT_LOCK_ALIAS if using is None else using]
    what = caller(1) if options.get("what") is None else None
    terms = Terms.of(backend.config, options, what)
    if isinstance(name, str):
        return Lock(check_name(name), backend, terms)
    if terms.token is not None:
        raise ValueError("A token belongs to one name: make a handle for each of the names.")
    return MultiLock([Lock(one, backend, terms) for one in _checked_names(name)], terms.wait)


def _checked_names(names: Names) -> list[str]:
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise TypeError(
            f"lock() takes a name or a list of names, all strings, not {names!r} "
            f"({type(names).__name__}).{_meant(names)}"
        )
    if not names:
        raise ValueError("lock() needs at least one name.")
    return sorted({check_name(name) for name in names})


def _meant(wrong: Any) -> str:
    """Return what to write, if it can be guessed from what was given in place of a name."""
    if hasattr(wrong, "get_lock_name"):
        return " To hold a row, write instance.locked()."
    if isinstance(wrong, (Lock, MultiLock)):
        return " Write its name."
    return " To decorate a function, write @locked(name)." if callable(wrong) else ""
