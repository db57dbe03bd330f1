"""Mistakes with decorators: written without a name, used as a block, or above another decorator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NoReturn

from ..handles.base import Handle

__all__ = ["Decorator", "refuse_bare", "refuse_decorated"]

# Methods that queue a call: Celery and rq, Django, dramatiq, taskiq, Procrastinate, huey.
QUEUES = (
    "delay",
    "apply_async",
    "enqueue",
    "send_with_options",
    "kiq",
    "defer_async",
    "call_local",
)


class Decorator:
    """Decorator that ``locked()`` and the like make. Its errors say what to write instead.

    ``block``: what to write after ``with``, for a decorator that is entered as a block.
    """

    def __init__(self, decorate: Callable[..., Any], made_by: str, block: str) -> None:
        self._decorate = decorate
        self._made_by = made_by
        self._block = block

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._decorate(*args, **kwargs)

    def __getattr__(self, name: str) -> NoReturn:
        # Celery and others read attributes of what they take for a function.
        made_by = vars(self).get("_made_by")
        raise AttributeError(
            f"What {made_by}() returns has no attribute {name!r}. Was @{made_by} written without "
            "parentheses?"
        )

    def __enter__(self) -> NoReturn:
        raise TypeError(
            f"{self._made_by}() makes a decorator. To hold the lock during a block of code, write "
            f"`with {self._block}:`."
        )

    def __exit__(self, *error: object) -> None: ...

    async def __aenter__(self) -> NoReturn:
        self.__enter__()

    async def __aexit__(self, *error: object) -> None: ...


def refuse_bare(name: Any, decorator: str, advice: str) -> None:
    """Raise ``TypeError`` if ``name`` cannot be one: the decorator was written without parentheses.

    An ordinary function is accepted, since it may make the name.
    """
    if isinstance(name, Handle):
        raise TypeError(f"{decorator} makes a handle for each call, and takes none. {advice}")
    kinds = (type, property, classmethod, staticmethod)
    if (
        isinstance(name, kinds)
        or inspect.isgeneratorfunction(name)
        or inspect.isasyncgenfunction(name)
    ):
        raise TypeError(f"{decorator} was written without parentheses. {advice}")
    if not isinstance(name, str):
        refuse_decorated(name, decorator)


def refuse_decorated(function: Any, decorator: str) -> None:
    """Raise ``TypeError`` for what would run without the lock: a task, a context manager."""
    if _is_task(function):
        kind = "already a task, which its queue would run without the lock"
    elif _is_context_manager(function):
        kind = "already a context manager, which would be entered without the lock"
    elif type(function) is FunctionType and hasattr(function, "_ninja_operation"):
        kind = "already an operation of Django Ninja, which its API would run without the lock"
    else:
        return
    raise TypeError(
        f"{decorator} is applied to what is {kind}. Write {decorator}(...) below the decorator "
        "that makes it one, directly above the `def`."
    )


def _is_task(function: Any) -> bool:
    # Attributes of the object itself are not read: that would create Celery's shared tasks.
    kind = type(function)
    if kind is FunctionType:
        return any(queue in vars(function) for queue in QUEUES)
    return kind.__module__.startswith("celery.") or any(hasattr(kind, queue) for queue in QUEUES)


def _is_context_manager(function: Any) -> bool:
    if type(function) is not FunctionType:
        return False
    # The code of a function below @transaction.atomic is in contextlib too, with another name.
    code = function.__code__
    made_by = contextmanager.__code__
    return code.co_filename == made_by.co_filename and code.co_name == "helper"
