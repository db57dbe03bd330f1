"""``lock()``: makes the handles."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeAlias, overload

from .backends.base import SHARED
from .conf import DEFAULT_LOCK_ALIAS, SHORTEST_LEASE, Duration, seconds
from .handler import lock_backends
from .identity import caller
from .keys import check_name
from .lock import Lock, Terms
from .multi import MultiLock

__all__ = ["check_options", "lock"]

_VISIBLE = re.compile(r"[!-~]+")

Names: TypeAlias = "list[str] | tuple[str, ...] | set[str] | frozenset[str]"


@overload
def lock(
    name: str,
    *,
    using: str = ...,
    lease: Duration | None = ...,
    wait: Duration | None = ...,
    renew: bool | None = ...,
    max_hold: Duration | None = ...,
    limit: int = ...,
    shared: bool = ...,
    reentrant: bool = ...,
    token: str | None = ...,
    label: str = ...,
    what: str | None = ...,
    on_lost: Callable[[Lock], object] | None = ...,
) -> Lock: ...


@overload
def lock(
    name: Names,
    *,
    using: str = ...,
    lease: Duration | None = ...,
    wait: Duration | None = ...,
    renew: bool | None = ...,
    max_hold: Duration | None = ...,
    limit: int = ...,
    shared: bool = ...,
    reentrant: bool = ...,
    label: str = ...,
    what: str | None = ...,
    on_lost: Callable[[Lock], object] | None = ...,
) -> MultiLock: ...


def lock(
    name: str | Names,
    *,
    using: str = DEFAULT_LOCK_ALIAS,
    lease: Duration | None = None,
    wait: Duration | None = None,
    renew: bool | None = None,
    max_hold: Duration | None = None,
    limit: int = 1,
    shared: bool = False,
    reentrant: bool = False,
    token: str | None = None,
    label: str = "",
    what: str | None = None,
    on_lost: Callable[[Lock], object] | None = None,
) -> Lock | MultiLock:
    """Make a handle on the lock of this name, or on the locks of several names together.

    Nothing is held before ``acquire()`` or ``with``. Times are in seconds or timedeltas; what is
    None is taken from ``LOCKS[using]``.

    ``lease``: how long an unrenewed hold lives. ``wait``: how long an attempt may queue; 0 does not
    wait. ``renew``: whether the lease is extended while the process lives, for ``max_hold`` at the
    most (``float("inf")``: without an end). ``limit``: how many may hold the name at once.
    ``shared``: a read lock; many may share it, one without ``shared`` excludes them all.
    ``reentrant``: joins the hold that the same thread or task has already, if any. ``token``: act
    on the hold of another handle. ``label`` and ``what`` tell the admin who holds it (``what`` is
    the calling function by default). ``on_lost``: called with the handle when the hold is lost, in
    the thread that noticed.

    Raises ``ValueError`` or ``TypeError`` for what makes no sense, ``InvalidLockBackend`` for a
    ``using`` that ``LOCKS`` does not have.
    """
    backend = lock_backends[using]
    config = backend.config
    _check_kinds(renew, shared, reentrant, label, what, on_lost)
    terms = Terms(
        wait=config.wait if wait is None else seconds(wait, "wait", endless=True),
        lease=config.lease if lease is None else seconds(lease, "lease", least=SHORTEST_LEASE),
        renew=config.renew if renew is None else renew,
        max_hold=config.max_hold if max_hold is None else _longest(max_hold),
        limit=_checked_limit(limit, shared),
        reentrant=reentrant,
        what=caller(1) if what is None else what,
        label=label,
        on_lost=on_lost,
    )
    if isinstance(name, str):
        return Lock(check_name(name), backend, terms, _checked_token(token))
    if token is not None:
        raise ValueError("A token belongs to one name: make a handle for each of the names.")
    return MultiLock([Lock(one, backend, terms) for one in _checked_names(name)], terms.wait)


def check_options(
    *,
    wait: Duration | None = None,
    lease: Duration | None = None,
    max_hold: Duration | None = None,
    limit: int = 1,
    shared: bool = False,
    on_lost: object = None,
    using: object = None,
    renew: object = None,
    reentrant: object = False,
    label: object = "",
    what: object = None,
    **unknown: object,
) -> None:
    """Raise for what makes no sense whatever ``LOCKS`` says: decorators ask before any call."""
    if unknown:
        raise TypeError(f"There is no option {', '.join(map(repr, unknown))}.")
    if wait is not None:
        seconds(wait, "wait", endless=True)
    if lease is not None:
        seconds(lease, "lease", least=SHORTEST_LEASE)
    if max_hold is not None:
        _longest(max_hold)
    _checked_limit(limit, shared)
    _check_kinds(renew, shared, reentrant, label, what, on_lost)


def _longest(max_hold: Duration) -> float | None:
    longest = seconds(max_hold, "max_hold", endless=True)
    return None if math.isinf(longest) else longest


def _check_kinds(
    renew: object, shared: object, reentrant: object, label: object, what: object, on_lost: object
) -> None:
    if not (renew is None or isinstance(renew, bool)):
        raise TypeError(f"renew must be True, False or None, not {renew!r}.")
    if not isinstance(shared, bool):
        raise TypeError(f"shared must be True or False, not {shared!r}.")
    if not isinstance(reentrant, bool):
        raise TypeError(f"reentrant must be True or False, not {reentrant!r}.")
    if not isinstance(label, str):
        raise TypeError(f"label must be a string, not {label!r}; write str(...) around it.")
    if not (what is None or isinstance(what, str)):
        raise TypeError(f"what must be a string, not {what!r}; write str(...) around it.")
    if on_lost is not None and not callable(on_lost):
        raise TypeError(f"on_lost must be a callable that gets the handle, not {on_lost!r}.")


def _checked_limit(limit: int, shared: bool) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit < SHARED:
        raise ValueError(f"limit must be a whole number of 1 or more, not {limit!r}.")
    if shared and limit != 1:
        raise ValueError("limit and shared exclude each other: a shared lock has no limit.")
    return SHARED if shared else limit


def _checked_token(token: str | None) -> str | None:
    # The scripts find it in their records up to the first blank, and count its bytes.
    if token is not None and not (isinstance(token, str) and _VISIBLE.fullmatch(token)):
        raise ValueError(f"token must be the token of another handle, not {token!r}.")
    return token


def _checked_names(names: Names) -> list[str]:
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise TypeError(f"lock() takes a name or a list of names, not {names!r}.")
    if not names:
        raise ValueError("lock() needs at least one name.")
    return sorted({check_name(name) for name in names})
