"""Warnings of mistakes that otherwise only show under load.

They are on if ``WARN_OF_MISUSE`` of the alias is, and by default if ``DEBUG`` is. Each mistake is a
``LockMisuse`` warning that points to the caller, shown once per line as Python's warnings are. A
signal handler may take a lock at any point of this, so there is no mutex.
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
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import asgiref
import django
from django.db import connections

from ..exceptions import LockMisuse
from ..fields import unfilled
from .owners import LockId, this_owner

if TYPE_CHECKING:
    from .hold import LocalHold
    from .owners import Owner

__all__ = ["warn", "warn_of_misuse", "warn_of_truth_value"]

PACKAGE = str(Path(__file__).parents[1]) + os.sep
STANDARD_LIBRARY = str(Path(contextlib.__file__).parent) + os.sep
# Libraries that call a project's code and are called by it.
LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (*asgiref.__path__, *django.__path__))
INSTALLED = f"-packages{os.sep}"

# A new lock is compared with at most this many holds of its thread or task.
MOST_HOLDS = 32

# Pairs of names that were taken one inside the other, and where. The oldest are dropped.
MOST_PAIRS = 10_000
_taken: OrderedDict[tuple[LockId, LockId], str] = OrderedDict()


def warn_of_misuse(lock: Any, wait: float, *, blocking: bool, needs: bool) -> None:
    """Warn of mistakes in acquiring ``lock`` here with a wait of ``wait`` seconds.

    ``needs``: whether the caller cannot go on without it.
    """
    owner = this_owner()
    if blocking:
        _look_for_event_loop(lock)
    _look_at_name(lock)
    if needs:
        _look_for_itself(lock, wait, owner)
    _look_for_order(lock, owner)
    _look_for_transaction(lock, wait)


def warn_of_truth_value(lock: Any) -> None:
    """Warn that the truth value of ``lock``, which was never granted, says nothing."""
    warn(
        lock,
        f"The lock {lock.name!r} was not acquired, and a handle is always true. Write "
        "`if handle.acquire(wait=0):` to try, or `if handle.held:` to ask whether it is held.",
    )


def _look_for_event_loop(lock: Any) -> None:
    if asyncio._get_running_loop() is None or os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        return
    warn(
        lock,
        f"The lock {lock.name!r} is acquired by blocking code in a coroutine: the event "
        "loop and all its tasks are blocked until it is granted. Write `async with` in place of "
        "`with`, or `await handle.aacquire()`.",
    )


def _look_at_name(lock: Any) -> None:
    if not hasattr(lock.name, "template") and (field := unfilled(lock.name)):
        warn(
            lock,
            f"The lock name {lock.name!r} is used literally, with {field!r} in it: "
            "one lock, whatever the value. Write an f-string.",
        )


def _look_for_itself(lock: Any, wait: float, owner: Owner) -> None:
    hold = owner.taken.get((lock.backend.place, lock.name))
    # With the token of that hold it is granted at once.
    is_other = hold is not None and hold.alive and hold.token != lock.token
    if lock.limit == 1 and is_other:
        in_vain = "waits for itself" if wait > 0 else "is always busy here"
        warn(
            lock,
            f"The lock {lock.name!r} is taken by code that holds it already, and "
            f"{in_vain}. Pass the handle on, or write reentrant=True.",
        )


def _look_for_order(lock: Any, owner: Owner) -> None:
    held = _held_last(owner)
    place = _place() if held else ""
    lock_id = lock.backend.place, lock.name
    for other in held:
        if other.name == lock.name or other.backend.place != lock.backend.place:
            continue
        other_place = _taken.get((lock_id, other.lock_id))
        _taken[other.lock_id, lock_id] = place
        if len(_taken) > MOST_PAIRS:
            with suppress(KeyError):
                _taken.popitem(last=False)
        if other_place is not None:
            warn(
                lock,
                f"The locks {other.name!r} and {lock.name!r} are taken in this "
                f"order here ({place}) and in the opposite order there ({other_place}): each may "
                "wait for the other. Take them together: "
                f"lock([{lock.name!r}, {other.name!r}]).",
            )


def _held_last(owner: Owner) -> list[LocalHold]:
    """Return the owner's latest live holds."""
    # A copy, because a signal handler may change the dictionary during the loop.
    latest = reversed(list(owner.taken.values()))
    return list(islice((hold for hold in latest if hold.alive), MOST_HOLDS))


def _look_for_transaction(lock: Any, wait: float) -> None:
    if wait <= 0:
        return
    for connection in connections.all(initialized_only=True):
        # The transaction that TestCase wraps around a test does not count.
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            warn(
                lock,
                f"The lock {lock.name!r} may be waited for inside an open atomic() of "
                f"the database {connection.alias!r}: the transaction stays open while it waits, "
                "and may then read outdated data. Take the lock around atomic().",
            )


def _place() -> str:
    """File and line of the code that takes the lock."""
    frame, _ = _caller()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _caller() -> tuple[FrameType, bool]:
    """Return the first caller that is not a library, and whether it is the project's own code.

    There may be none if a server called a view, or a thread pool a function. Then it is the first
    caller outside this package.
    """
    frame: FrameType | None = sys._getframe(1)
    nearest = None
    while frame is not None:
        filename = frame.f_code.co_filename
        if not _is_library(filename):
            return frame, INSTALLED not in filename
        if nearest is None and not filename.startswith(PACKAGE):
            nearest = frame
        frame = frame.f_back
    return nearest or sys._getframe(1), False


@lru_cache(maxsize=1024)
def _is_library(filename: str) -> bool:
    if filename.startswith((PACKAGE, *LIBRARIES, "<frozen ")):
        return True
    return filename.startswith(STANDARD_LIBRARY) and INSTALLED not in filename


def warn(lock: Any, message: str) -> None:
    """Warn of a mistake with ``lock``, at the line of the code that made it."""
    frame, is_own = _caller()
    if not is_own:
        message = f"{message} ({lock._terms.what})"
    warnings.warn_explicit(
        message,
        LockMisuse,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )
