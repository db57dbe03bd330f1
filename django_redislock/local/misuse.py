"""Mistakes that only show under load, named while the code is being written.

Looked for where ``DEBUG`` is on, or ``WARN_OF_MISUSE`` of the alias. Each is a ``LockMisuse``
warning at the place of the call, once for each place as Python's warnings are.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connections

from ..exceptions import LockMisuse, readable
from .owners import this_owner

if TYPE_CHECKING:
    from .hold import LocalHold

__all__ = ["look"]

PACKAGE = str(Path(__file__).parents[1])

# Pairs of names that were taken one within the other, and where. The oldest are forgotten.
MOST_PAIRS = 10_000
_taken: OrderedDict[tuple[str, str], str] = OrderedDict()
_taking = threading.Lock()


def look(lock: Any, wait: float) -> None:
    """Warn of what is wrong with acquiring ``lock`` here, with a wait of so many seconds."""
    held = [hold for hold in this_owner().taken.values() if hold.alive]
    _look_for_itself(lock, wait, held)
    _look_for_order(lock, held)
    _look_for_transaction(lock, wait)


def _look_for_itself(lock: Any, wait: float, held: list[LocalHold]) -> None:
    if wait > 0 and any(
        (other.backend.place, other.name) == (lock.backend.place, lock.name) and lock.limit == 1
        for other in held
    ):
        _warn(
            f"The lock {readable(lock.name)!r} is taken by code that holds it already, and waits "
            "for itself. Pass the handle on, or make it with lock(..., reentrant=True)."
        )


def _look_for_order(lock: Any, held: list[LocalHold]) -> None:
    place = _place()
    for other in held:
        if other.name == lock.name or other.backend.place != lock.backend.place:
            continue
        with _taking:
            other_place = _taken.get((lock.name, other.name))
            _taken[other.name, lock.name] = place
            if len(_taken) > MOST_PAIRS:
                _taken.popitem(last=False)
        if other_place is not None:
            _warn(
                f"The locks {readable(other.name)!r} and {readable(lock.name)!r} are taken in this "
                f"order here ({place}) and in the opposite order there ({other_place}): each may "
                "wait for the other. Take them together: "
                f"lock([{readable(lock.name)!r}, {readable(other.name)!r}])."
            )


def _look_for_transaction(lock: Any, wait: float) -> None:
    if wait <= 0:
        return
    for connection in connections.all(initialized_only=True):
        # The transaction that TestCase wraps around a test is nobody's but the test's.
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            _warn(
                f"The lock {readable(lock.name)!r} may be waited for inside an open atomic() of "
                f"the database {connection.alias!r}: the transaction stays open all the while, and "
                "may read what was true before the lock was held. Take the lock around atomic()."
            )


def _place() -> str:
    """File and line of the first caller outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _warn(message: str) -> None:
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, LockMisuse, stacklevel=level)
