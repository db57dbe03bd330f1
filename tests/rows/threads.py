"""Threads with their own database connections, as other users of a row."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

from django.db import connections

from django_redislock.handles.single import Lock
from django_redislock.local.registry import registry

T = TypeVar("T")


def start(function: Callable[..., T], *args: Any) -> Future[T]:
    """Call the function in a new thread, which closes its connections."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            try:
                result = function(*args)
            finally:
                for connection in connections.all(initialized_only=True):
                    connection._close()  # close() would keep a database that is in memory
        except BaseException as error:  # noqa: BLE001 - raised by result()
            future.set_exception(error)
        else:
            future.set_result(result)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return future


def elsewhere(function: Callable[..., T], *args: Any) -> T:
    """Call the function in another thread, and return its result."""
    return start(function, *args).result(30)


def take_over(held: Lock, write: Callable[[], object]) -> None:
    """End a hold behind its holder's back, and let the next one write.

    The holder cannot know: its lease goes on by its own clock.
    """
    # On a slow machine, its next renewal could notice the loss before the write is done.
    for hold in registry.find((held.backend.place, held.name), held.token):
        registry.holds.pop(hold)
        hold.expect("the test", monotonic() + 600)
        hold.answered("the test", monotonic() + 600)
    assert held.backend.force_release(held.name, held.token)
    elsewhere(write)
    assert held.held


def stored(row: Any) -> Any:
    """The row as it is in the database."""
    return type(row).objects.using(row._state.db).get(pk=row.pk)


def next_holder_writes(row: Any, **values: object) -> None:
    """Write the row as its next holder."""
    later = stored(row)
    with later.locked(wait=20):
        for name, value in values.items():
            setattr(later, name, value)
        later.save()
