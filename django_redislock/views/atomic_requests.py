"""Transactions of ``ATOMIC_REQUESTS``, which a locked view opens itself, inside the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections, transaction

__all__ = [
    "atomic_in",
    "excluded_databases",
    "refuse_atomic_requests",
    "take_over_atomic_requests",
    "taken_over_databases",
]


class TakenOver(frozenset[str]):
    """Keeps Django from opening a transaction around a view, for any database.

    Its members are the databases that the user excluded with ``non_atomic_requests``. For the other
    databases with ``ATOMIC_REQUESTS`` the view opens the transaction itself, inside the lock.

    It never changes, because ``functools.wraps()`` and ``as_view()`` have several views share it.
    Where there is nothing to add to, ``non_atomic_requests`` gives the view a set of its own.
    """

    def __contains__(self, alias: object) -> bool:
        return True


def take_over_atomic_requests(wrapper: Any) -> None:
    """Mark ``wrapper``, a locked view, as the one that opens ``ATOMIC_REQUESTS`` transactions."""
    wrapper._non_atomic_requests = TakenOver(excluded_databases(wrapper))


@contextmanager
def atomic_in(aliases: Sequence[str]) -> Iterator[None]:
    """Open a transaction in each of these databases. That of the last is committed first."""
    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(transaction.atomic(using=alias))
        yield


def refuse_atomic_requests(request: Any, view: Any) -> None:
    """Raise the error with which Django would have refused this coroutine view, and say more."""
    if taken_over_databases(request, view):
        raise RuntimeError(
            "You cannot use ATOMIC_REQUESTS with async views. In the URLconf, write "
            "transaction.non_atomic_requests(view)."
        )


def taken_over_databases(request: Any, view: Any) -> list[str]:
    """Return the databases in which Django would have opened a transaction around the view.

    They are in Django's order, from the outermost transaction to the innermost.
    """
    # There are none if Django has opened them itself or would not open any: outside of a request
    # that it dispatched, or if another decorator hides the mark of this one.
    match = getattr(request, "resolver_match", None)
    taken_over = getattr(match and match.func, "_non_atomic_requests", None)
    if not isinstance(taken_over, TakenOver):
        return []
    # method_decorator() may lose the mark of one of its decorators, but not what the next one got.
    owner = getattr(view, "__self__", None)
    excluded = {*taken_over, *excluded_databases(view), *excluded_databases(owner)}
    return [
        alias
        for alias, database in reversed(connections.settings.items())
        if database["ATOMIC_REQUESTS"] and alias not in excluded
    ]


def excluded_databases(view: Any) -> Iterable[str]:
    """Return the databases that ``non_atomic_requests`` has excluded for a view."""
    marks: Iterable[str] = getattr(view, "_non_atomic_requests", ())
    return marks
