"""Mistakes that only show under load, named while the code is being written.

Looked for where ``DEBUG`` is on, or ``WARN_OF_MISUSE`` of the alias. Each is a ``LockMisuse``
warning at the place of the call, once for each place as Python's warnings are. Signal handlers
take locks too, at any point of this: it has no mutex.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import warnings
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import asgiref
import django
from django.db import connections

from ..exceptions import LockMisuse, readable
from ..fields import unfilled
from .owners import LockId, this_owner

if TYPE_CHECKING:
    from .hold import LocalHold
    from .owners import Owner

__all__ = ["look", "look_at_truth"]

PACKAGE = str(Path(__file__).parents[1]) + os.sep
STANDARD_LIBRARY = str(Path(contextlib.__file__).parent) + os.sep
# What calls the code of a project, and is called by it.
LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (*asgiref.__path__, *django.__path__))
INSTALLED = f"-packages{os.sep}"

# How many of the holds that a thread or task has are compared with the one that it takes.
MOST_HOLDS = 32

# Pairs of names that were taken one within the other, and where. The oldest are forgotten.
MOST_PAIRS = 10_000
_taken: OrderedDict[tuple[str, str], str] = OrderedDict()


def look(lock: Any, wait: float, *, blocking: bool) -> None:
    """Warn of what is wrong with acquiring ``lock`` here, with a wait of so many seconds."""
    owner = this_owner()
    if blocking:
        _look_for_event_loop(lock)
    _look_at_name(lock)
    _look_for_itself(lock, wait, owner)
    _look_for_order(lock, owner)
    _look_for_transaction(lock, wait)


def look_at_truth(lock: Any) -> None:
    """Warn that asking whether ``lock`` is true, before it was ever granted, tells nothing."""
    _warn(
        lock,
        f"The lock {readable(lock.name)!r} was not acquired, and a handle is always true. Write "
        "`if handle.acquire(wait=0):` to try, or `if handle.held:` to ask whether it is held.",
    )


def _look_for_event_loop(lock: Any) -> None:
    if asyncio._get_running_loop() is None or os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        return
    _warn(
        lock,
        f"The lock {readable(lock.name)!r} is acquired by blocking code in a coroutine: the event "
        "loop and all its tasks are blocked until it is granted. Write `async with lock(...)` or "
        "`await handle.aacquire()`.",
    )


def _look_at_name(lock: Any) -> None:
    if not hasattr(lock.name, "template") and (field := unfilled(lock.name)):
        _warn(
            lock,
            f"The lock name {readable(lock.name)!r} is taken as it stands, with {field!r} in it: "
            "one lock, whatever the value. Write an f-string.",
        )


def _look_for_itself(lock: Any, wait: float, owner: Owner) -> None:
    hold = owner.taken.get((lock.backend.place, lock.name))
    if wait > 0 and lock.limit == 1 and hold is not None and hold.alive:
        _warn(
            lock,
            f"The lock {readable(lock.name)!r} is taken by code that holds it already, and waits "
            "for itself. Pass the handle on, or make it with lock(..., reentrant=True).",
        )


def _look_for_order(lock: Any, owner: Owner) -> None:
    held = _held_last(owner)
    place = _place() if held else ""
    for other in held:
        if other.name == lock.name or other.backend.place != lock.backend.place:
            continue
        other_place = _taken.get((lock.name, other.name))
        _taken[other.name, lock.name] = place
        if len(_taken) > MOST_PAIRS:
            with suppress(KeyError):
                _taken.popitem(last=False)
        if other_place is not None:
            _warn(
                lock,
                f"The locks {readable(other.name)!r} and {readable(lock.name)!r} are taken in this "
                f"order here ({place}) and in the opposite order there ({other_place}): each may "
                "wait for the other. Take them together: "
                f"lock([{readable(lock.name)!r}, {readable(other.name)!r}]).",
            )


def _held_last(owner: Owner) -> list[LocalHold]:
    """The holds that it took last; those that are over are forgotten on the way to them."""
    held: list[LocalHold] = []
    over: list[LockId] = []
    # A signal handler may have taken or released a lock meanwhile: what was found has to do.
    with suppress(RuntimeError):
        for hold in reversed(owner.taken.values()):
            if hold.is_over:
                over.append(hold.lock_id)
            elif hold.alive:
                held.append(hold)
                if len(held) == MOST_HOLDS:
                    break
    for lock_id in over:
        taken = owner.taken.get(lock_id)
        if taken is not None and taken.is_over:
            owner.taken.pop(lock_id, None)
    return held


def _look_for_transaction(lock: Any, wait: float) -> None:
    if wait <= 0:
        return
    for connection in connections.all(initialized_only=True):
        # The transaction that TestCase wraps around a test is nobody's but the test's.
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            _warn(
                lock,
                f"The lock {readable(lock.name)!r} may be waited for inside an open atomic() of "
                f"the database {connection.alias!r}: the transaction stays open all the while, and "
                "may read what was true before the lock was held. Take the lock around atomic().",
            )


def _place() -> str:
    """File and line of the code that takes the lock."""
    frame, _ = _caller()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _caller() -> tuple[FrameType, bool]:
    """The first caller that is no library, and whether there is one.

    Where a server has called a view, or a pool of threads a function, there may be none: then it is
    the first one outside this package.
    """
    frame: FrameType | None = sys._getframe(1)
    nearest = None
    while frame is not None:
        filename = frame.f_code.co_filename
        if not _is_library(filename):
            return frame, True
        if nearest is None and not filename.startswith(PACKAGE):
            nearest = frame
        frame = frame.f_back
    return nearest or sys._getframe(1), False


@lru_cache(maxsize=1024)
def _is_library(filename: str) -> bool:
    if filename.startswith((PACKAGE, *LIBRARIES, "<frozen ")):
        return True
    return filename.startswith(STANDARD_LIBRARY) and INSTALLED not in filename


def _warn(lock: Any, message: str) -> None:
    frame, is_named = _caller()
    if not is_named:
        message = f"{message} ({lock._terms.what})"
    warnings.warn_explicit(
        message,
        LockMisuse,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )
