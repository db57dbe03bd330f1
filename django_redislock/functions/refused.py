"""Refusal of tasks and the like, which a decorator below has made of a function."""

from __future__ import annotations

from contextlib import contextmanager
from types import FunctionType
from typing import Any

__all__ = ["refuse_decorated"]

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
