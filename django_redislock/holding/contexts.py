"""What each thread or task holds now."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Hashable
from typing import TYPE_CHECKING, TypeAlias

from ..process import process

if TYPE_CHECKING:
    from .tenure import Tenure

__all__ = ["Context", "Contexts", "contexts", "this_context"]

# What stands for a thread or a task. The numbers that they have themselves are used again when they
# have ended.
Context: TypeAlias = object

# The place of a backend, and a name there.
Subject: TypeAlias = "tuple[Hashable, str]"

_threads = threading.local()
_tasks: weakref.WeakKeyDictionary[asyncio.Task[object], Context] = weakref.WeakKeyDictionary()


def this_context() -> Context:
    """The task that is running, or else the thread.

    A task that another one started works beside it: it is a context of its own, as a thread is.
    """
    loop = asyncio._get_running_loop()
    task = asyncio.current_task(loop) if loop is not None else None
    if task is not None:
        return _tasks.setdefault(task, object())
    try:
        return _threads.context
    except AttributeError:
        _threads.context = object()
        return _threads.context


class Contexts:
    """The tenures that each context took. One that nobody has is not kept."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Hold nothing of what the parent holds, in a forked child."""
        # Garbage may be collected anywhere, and holds with it: reentrant.
        self._lock = threading.RLock()
        # By context, by place and name, and by token: a context may hold thousands of names.
        self._held: dict[Context, dict[Subject, dict[str, weakref.ref[Tenure]]]] = {}

    def enter(self, tenure: Tenure) -> Context:
        context = this_context()
        with self._lock:
            names = self._held.get(context, {})
            tokens = names.get(tenure.subject, {})
            tokens[tenure.token] = weakref.ref(tenure)
            # Last, since a hold that was collected meanwhile has taken away what was empty.
            names[tenure.subject] = tokens
            self._held[context] = names
        return context

    def leave(self, context: Context, tenure: Tenure) -> None:
        """From any thread: it may be released elsewhere than it was acquired."""
        with self._lock:
            names = self._held.get(context, {})
            tokens = names.get(tenure.subject, {})
            tokens.pop(tenure.token, None)
            if not tokens:
                names.pop(tenure.subject, None)
            if not names:
                self._held.pop(context, None)

    def held_here(self, subject: Subject | None = None) -> list[Tenure]:
        """What the running context holds, or what of it has this place and name."""
        if not self._held:
            return []
        with self._lock:
            names = self._held.get(this_context(), {})
            groups = [names.get(subject, {})] if subject is not None else list(names.values())
            references = [one for tokens in groups for one in tokens.values()]
        return [tenure for one in references if (tenure := one()) is not None and tenure.alive]


contexts = Contexts()
process.in_child(contexts.forget)
