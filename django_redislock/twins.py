"""Blocking and awaiting twins of one coroutine.

The rule: each operation of a handle is written once, as an ordinary ``async def`` whose first
argument is the ``Call``. A thread runs it to its end with ``perform``; a task awaits it through
``aperform``. Where the two differ, ``both`` calls a blocking function or its awaiting twin. (To
save that call, a first acquire and a release check ``call.blocking`` themselves.) A blocking call
never suspends. Nothing here asks whether an event loop is running.

Each call first checks whether this is a forked child, which has to forget the calls of its parent.
If the fork were noticed later, on the way to the server, this very call would be forgotten as well.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from itertools import starmap
from operator import methodcaller
from os import getpid
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .process import process

if TYPE_CHECKING:
    from types import CoroutineType

    from typing_extensions import TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")

__all__ = ["Call", "aperform", "both", "perform"]

P = ParamSpec("P")
T = TypeVar("T")

_STEPS = ("steps",)
_start = methodcaller("send", None)


class Call:
    """One call of a handle's method: whether it blocks, and whether it is over.

    An asynchronous exception may come between any two bytecodes, and a coroutine that was created
    but never started emits a warning. So it is created, stored in ``steps`` and started by one
    iterator, which is driven by C code: no bytecode runs in between.
    """

    steps: CoroutineType[Any, Any, Any]
    blocking = True
    # The event loop of the task, if any. Weak: a handle keeps its last acquire, which is over.
    loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
    # What it has acquired so far, if it acquires several names: the holds, and their needs.
    taken: list[tuple[Any, Any]] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the coroutine has ended, even if a traceback keeps it alive, or cannot go on."""
        if self.steps.cr_frame is None:
            return True
        if self.loop is None:
            return False
        loop = self.loop()
        return loop is None or loop.is_closed()


def perform(function: Callable[[Call, Unpack[Ts]], Coroutine[Any, Any, T]], *args: Unpack[Ts]) -> T:
    """Run the coroutine function to its end in this thread."""
    if getpid() != process.pid:
        process.look()
    call = Call()
    keep: Any = call.__dict__.setdefault
    try:
        next(map(_start, map(keep, _STEPS, starmap(function, ((call, *args),)))))
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError(f"{function!r} suspended in a blocking call.")


async def aperform(
    function: Callable[[Call, Unpack[Ts]], Coroutine[Any, Any, T]], *args: Unpack[Ts]
) -> T:
    """Run the coroutine function in this task."""
    if getpid() != process.pid:
        process.look()
    call = Call()
    call.blocking, call.loop = False, weakref.ref(asyncio.get_running_loop())
    keep: Any = call.__dict__.setdefault
    try:
        steps: Coroutine[Any, Any, T] = next(map(keep, _STEPS, starmap(function, ((call, *args),))))
        return await steps
    except BaseException:
        # If interrupted before its first step, it would warn that it was never awaited.
        if (begun := vars(call).get("steps")) is not None:
            begun.close()
        raise


async def both(
    call: Call,
    blocking: Callable[P, T],
    awaiting: Callable[P, Awaitable[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call one of two twins with these arguments, depending on ``call.blocking``."""
    if call.blocking:
        return blocking(*args, **kwargs)
    return await awaiting(*args, **kwargs)
