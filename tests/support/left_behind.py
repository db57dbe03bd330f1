"""Holds that an interrupted call leaves behind, wherever the interruption comes."""

from __future__ import annotations

import contextlib
import gc
import traceback
from functools import partial
from typing import TYPE_CHECKING

from django_redislock import lock, lock_backends
from tests.support.interruptions import PACKAGE, Interruption, interrupt, places_in
from tests.support.settled import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.interruptions import Files

__all__ = ["left_behind"]

# Its functions run between those of the package.
INSIDE = (PACKAGE, contextlib.__file__)


def left_behind(
    call: Callable[[int], object],
    name: str,
    alias: str = "default",
    *,
    afterwards: Callable[[], object] | None = None,
    inside: Files = INSIDE,
) -> list[str]:
    """Interrupt a call at each of its places, and return where holds have outlived it.

    Call number 5 has to use the lock `{name}:5`. Each interruption is kept with its traceback, and
    so with the handles; unless `afterwards`, which is called after each call, drops the handles.
    """
    call(-1)
    if afterwards is not None:
        afterwards()
    errors, places = [], []
    for place in range(2 * places_in(partial(call, -2), inside=inside)):
        error = interrupt(partial(call, place), at=place, inside=inside)
        places.append(_interrupted_in(error))
        if afterwards is None:
            errors.append(error)
        else:
            del error
            afterwards()
        with lock("another", using=alias):
            pass  # so that the next call finds a connection
    settle()
    left = []
    for place, interrupted_in in enumerate(places):
        for hold in lock_backends[alias].inspect(f"{name}:{place}")[0]:
            lock(hold.name, token=hold.token, using=alias).release()
            left.append(interrupted_in)
    errors.clear()
    gc.collect()  # what Python reports of interrupted generators belongs to this test
    return left


def _interrupted_in(error: Interruption | None) -> str:
    """The innermost function that was interrupted, but for those that interrupted it."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    names = [frame.name for frame in frames if "/support/" not in frame.filename]
    return names[-1] if names else ""
