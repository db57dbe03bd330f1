"""Blocking and awaiting twins of one coroutine.

The rule: what a handle does is written once, as an ordinary ``async def`` whose first argument is
the ``Call``. A thread drives it with ``perform`` to its end in one go; a task awaits it through
``aperform``. Where the two differ, ``both`` joins a blocking function and its awaiting twin (each
acquire and release spares itself that call, and asks ``call.blocking``); a blocking call never
suspends. Nothing here asks whether an event loop is running.

Before anything else a call looks whether this is a forked child, which has to forget what its
parent does: noticed only on the way to the server, that would take the call itself along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import starmap
from operator import methodcaller
from os import getpid
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .process import process

if TYPE_CHECKING:
    from types import CoroutineType

__all__ = ["Call", "aperform", "both", "perform"]

P = ParamSpec("P")
T = TypeVar("T")

_start = methodcaller("send", None)


class Call:
    """One call of a handle's method: in which world it runs, and whether it still does.

    An exception from outside may come between any two bytecodes, and a coroutine that was created
    and never started warns of that. So it is created, stored in ``steps`` and started by one
    iterator, which is driven by C code: no bytecode runs in between.
    """

    steps: CoroutineType[Any, Any, Any]
    blocking = False

    @property
    def is_over(self) -> bool:
        """Whether the coroutine has ended, in whatever way; a kept traceback does not matter."""
        return self.steps.cr_frame is None


class BlockingCall(Call):
    """A call of a thread."""

    blocking = True


def perform(
    function: Callable[Concatenate[Call, P], Coroutine[Any, Any, T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run the coroutine function in this thread, to its end; it takes positional arguments."""
    if getpid() != process.pid:
        process.look()
    call = BlockingCall()
    keep: Any = partial(call.__dict__.setdefault, "steps")
    try:
        next(map(_start, map(keep, starmap(function, ((call, *args),)))))
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError(f"{function!r} suspended in a blocking call.")


async def aperform(
    function: Callable[Concatenate[Call, P], Coroutine[Any, Any, T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run the coroutine function in this task; it takes positional arguments."""
    if getpid() != process.pid:
        process.look()
    call = Call()
    keep: Any = partial(call.__dict__.setdefault, "steps")
    try:
        steps: Coroutine[Any, Any, T] = next(map(keep, starmap(function, ((call, *args),))))
        return await steps
    except BaseException:
        # Interrupted before its first step, it would warn that it was never awaited.
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
    """Call one of two twins with these arguments: which one is for the call to say."""
    if call.blocking:
        return blocking(*args, **kwargs)
    return await awaiting(*args, **kwargs)
