"""The order of lock and database transaction: what was written is committed before the release.

Released earlier, the next holder would read what was true before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from .steps import perform

if TYPE_CHECKING:
    from .holding.tenure import Tenure
    from .lock import Lock

__all__ = [
    "TakenOver",
    "atomic_requests",
    "refuse_atomic_requests",
    "take_over_atomic_requests",
    "tie_to_transactions",
]


def tie_to_transactions(handle: Lock, tenure: Tenure, *, whole: bool) -> None:
    """Let the hold last until the transactions that are open now are over, in all databases.

    A rollback to the present savepoint ends it too, unless it is tied to ``whole`` transactions.
    """
    for alias in connections.settings:
        # What connections.all(initialized_only=True) looks at too, but in a third of its time.
        connection: Any = getattr(connections._connections, alias, None)  # type: ignore[attr-defined]
        # In the transaction that TestCase wraps around a test nothing is ever committed.
        if connection is not None and connection.in_atomic_block and not _is_test(connection):
            savepoints = set() if whole else set(connection.savepoint_ids)
            # As connection.on_commit() does, which cannot be told to outlive a savepoint. But first
            # of all: the callbacks after one that fails live for as long as its traceback does.
            connection.run_on_commit.insert(0, (savepoints, _Knot(handle, tenure), True))


class _Knot:
    """A callback that Django calls after the commit, or drops when it rolls back.

    There is no callback for a rollback, but who is dropped notices it: at once, since nobody else
    refers to it. Till then it keeps the tenure, and so its lease renewed.
    """

    __qualname__ = "django_redislock.release_after_commit"

    def __init__(self, handle: Lock, tenure: Tenure) -> None:
        self._kept: tuple[Lock, Tenure] | None = (handle, tenure)
        tenure.tie()

    def __call__(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            handle, tenure = kept
            perform(tenure.untying(handle))

    __del__ = __call__


def _is_test(connection: Any) -> bool:
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


class TakenOver(set[str]):
    """Tells Django not to open a transaction around a view, for any database.

    Its members are the databases for which the user asked for that; for the others of
    ``ATOMIC_REQUESTS`` the view opens the transaction itself, inside the lock.
    """

    def __contains__(self, alias: object) -> bool:
        return True

    def asked_for(self, alias: str) -> bool:
        return super().__contains__(alias)


def take_over_atomic_requests(wrapper: Any) -> None:
    """Let ``wrapper``, a view that takes a lock, open the transactions of ``ATOMIC_REQUESTS``."""
    wrapper._non_atomic_requests = TakenOver(getattr(wrapper, "_non_atomic_requests", ()))


@contextmanager
def atomic_requests(request: Any) -> Iterator[None]:
    """The transactions that Django would have opened around the view of this request."""
    with ExitStack() as stack:
        for alias in _taken_over_for(request):
            stack.enter_context(transaction.atomic(using=alias))
        yield


def refuse_atomic_requests(request: Any) -> None:
    """Raise the error with which Django would have refused this coroutine view."""
    if _taken_over_for(request):
        raise RuntimeError("You cannot use ATOMIC_REQUESTS with async views.")


def _taken_over_for(request: Any) -> list[str]:
    # None where Django itself has opened them or would not: outside of a request that it
    # dispatched, or where a decorator hides from it that they were taken over.
    match = getattr(request, "resolver_match", None)
    taken_over = getattr(match and match.func, "_non_atomic_requests", None)
    if not isinstance(taken_over, TakenOver):
        return []
    return [
        alias
        for alias, database in connections.settings.items()
        if database["ATOMIC_REQUESTS"] and not taken_over.asked_for(alias)
    ]
