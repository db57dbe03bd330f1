"""One script of steps, performed by a thread or by a coroutine.

What a lock does is written once, as a generator that yields steps and is sent their results;
``perform`` and ``aperform`` are the two ways to carry them out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

__all__ = ["Step", "Steps", "aperform", "perform"]

T = TypeVar("T")


class Step(NamedTuple):
    """The same thing done in both worlds, with the same arguments."""

    blocking: Callable[..., Any]
    awaiting: Callable[..., Awaitable[Any]]
    arguments: tuple[Any, ...] = ()


Steps: TypeAlias = Generator[Step, Any, T]


def perform(steps: Steps[T]) -> T:
    """Carry the steps out in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                result = step.blocking(*step.arguments)
            except BaseException as error:  # noqa: BLE001 - the script decides what it means
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


async def aperform(steps: Steps[T]) -> T:
    """Carry the steps out in this task."""
    try:
        step = next(steps)
        while True:
            try:
                result = await step.awaiting(*step.arguments)
            except BaseException as error:  # noqa: BLE001 - the script decides what it means
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
