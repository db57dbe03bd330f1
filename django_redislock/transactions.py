"""Order of lock and database transaction: what was written is committed before the release.

If the lock were released earlier, the next holder would read outdated data.
"""

from __future__ import annotations

import threading
import weakref
from asyncio import _get_running_loop
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from asgiref.sync import AsyncToSync, sync_to_async
from django.db import connections

from .local.owners import this_owner
from .local.renewal import renewal
from .twins import perform

if TYPE_CHECKING:
    from .local.hold import LocalHold
    from .local.owners import Owner

__all__ = [
    "ManualTransaction",
    "Tie",
    "caller_in_transaction",
    "forget_transactions",
    "tie_in_caller",
    "tie_to_transactions",
]

_is_from_testcase = attrgetter("_from_testcase")


def tie_to_transactions(handle: Any, hold: LocalHold, *, whole: bool) -> None:
    """Make the hold last until the transactions that are open now are over, in all databases.

    A rollback to the current savepoint ends it too, unless it is tied to ``whole`` transactions.
    Those that it is tied to already are left out then.
    """
    for connection in _in_transaction():
        if whole and _is_tied(hold, connection):
            continue
        # The tie is no local variable, which the traceback of an interruption would keep.
        if connection.in_atomic_block and connection.commit_on_exit:
            savepoints = set() if whole else set(connection.savepoint_ids)
            # Like connection.on_commit(), whose callbacks cannot outlive a savepoint. It goes
            # first, because callbacks after a failing one live as long as its traceback.
            connection.run_on_commit.insert(0, (savepoints, Tie(handle, hold, connection), True))
        else:
            ManualTransaction.of(connection).ties.append(Tie(handle, hold, connection))


async def caller_in_transaction() -> Owner | None:
    """The thread that waits for this coroutine in ``async_to_sync``, if it has a transaction open.

    The ORM runs the coroutine's queries in that thread, and so in its transaction.
    """
    if getattr(AsyncToSync.executors, "current", None) is None:
        return None
    with suppress(RuntimeError):  # the task has outlived the call of async_to_sync
        return await sync_to_async(_owner_in_transaction)()
    return None


async def tie_in_caller(handle: Any, hold: LocalHold, *, whole: bool) -> None:
    """Call ``tie_to_transactions`` in the thread that waits, which may share the hold then."""
    with suppress(RuntimeError):
        await sync_to_async(_tie_here)(handle, hold, whole=whole)


def _owner_in_transaction() -> Owner | None:
    return this_owner() if _in_transaction() else None


def _tie_here(handle: Any, hold: LocalHold, *, whole: bool) -> None:
    tie_to_transactions(handle, hold, whole=whole)
    this_owner().take(hold)


def _in_transaction() -> list[Any]:
    """Return the connections of this thread or task that have a transaction open."""
    found: list[Any] = []
    # The same as connections.all(initialized_only=True), but in a fraction of its time.
    opened: Any = connections._connections  # type: ignore[attr-defined]
    if isinstance(opened._storage, threading.local):
        if _get_running_loop() is None:
            # asgiref itself looks into this storage when no event loop is running.
            opened = opened._storage
        else:
            # asgiref keeps the connections of tasks in a context variable of their thread.
            opened = opened._storage.__dict__.get("cvar")
            if opened is None:
                return found  # no task of this thread has ever had a connection
    for alias in connections.settings:
        connection: Any = getattr(opened, alias, None)
        if connection is None or connection.closed_in_transaction:
            continue  # close() has rolled the transaction back, and its atomic() calls nothing
        if connection.in_atomic_block and connection.commit_on_exit:
            # Nothing is ever committed in the transaction that TestCase wraps around a test.
            if True not in map(_is_from_testcase, connection.atomic_blocks):
                found.append(connection)
        elif connection.connection is not None and not connection.autocommit:
            found.append(connection)
    return found


class Tie:
    """A callback that needs the hold until Django calls it after the commit, or drops it.

    Django has no callback for a rollback. But it drops the callbacks of the commit, and ``__del__``
    runs at once, since nothing else refers to this object. Until then it keeps the handle, and the
    hold is renewed.
    """

    __qualname__ = "django_redislock.release_after_commit"

    # Nothing until __init__ is nearly over, because __del__ runs even if that was interrupted.
    kept: Sequence[tuple[Any, LocalHold]] = ()

    def __init__(self, handle: Any, hold: LocalHold, connection: Any) -> None:
        self._need = TransactionNeed(self, connection)
        self.kept = [(handle, hold)]
        hold.needs[self._need] = None

    def __call__(self) -> None:
        # The need lasts until the release is registered: the sweep drops holds that none needs.
        for handle, hold in self.kept[:1]:
            try:
                perform(handle._end_transaction_need, hold, self._need)
            except BaseException:
                # The traceback of an interruption may keep this object, and so the hold.
                renewal.end_later(hold, self._need)
                raise
            finally:
                self.kept = ()

    __del__ = __call__


class TransactionNeed:
    """A transaction's need for a hold. It keeps neither the callback nor the connection alive."""

    __slots__ = ("_connection", "_tie")

    is_transaction = True

    def __init__(self, tie: Tie, connection: Any) -> None:
        self._tie = weakref.ref(tie)
        self._connection = weakref.ref(connection)

    def is_of(self, connection: Any) -> bool:
        """Whether it is the need of a transaction of this connection that is not over."""
        return self._connection() is connection and self.handle is not None

    @property
    def handle(self) -> Any:
        """The handle that was used in the transaction; None when the transaction is over."""
        tie, connection = self._tie(), self._connection()
        kept = tie.kept[:1] if tie is not None else []
        # After an interrupted commit, Django keeps its callbacks until the next one.
        is_open = connection is not None and (
            connection.in_atomic_block or not connection.autocommit
        )
        return kept[0][0] if kept and is_open else None


def forget_transactions(hold: LocalHold) -> None:
    """Stop all transactions from keeping the hold."""
    for need in list(hold.needs):
        tie = need._tie() if isinstance(need, TransactionNeed) else None
        if tie is not None:
            tie.kept = ()  # now it does nothing when it is called


class ManualTransaction:
    """Watches for the end of a transaction while autocommit is switched off.

    Django calls no callbacks at ``commit()`` then. So while holds are tied to a connection, this
    replaces those methods of the connection object that end a transaction. Switching autocommit on
    commits, too.
    """

    # ``commit``, by which ``of`` finds this object, is replaced last and restored first: otherwise
    # an interruption in between would leave an object that is found, but misses a rollback.
    VERBS = ("commit", "rollback", "close", "set_autocommit")

    def __init__(self, connection: Any) -> None:
        self.ties: list[Tie] = []
        self._connection = connection
        for verb in reversed(self.VERBS):
            setattr(connection, verb, partial(self._then_untie, verb, getattr(connection, verb)))

    @classmethod
    def of(cls, connection: Any) -> ManualTransaction:
        """The object for this connection; created if there is none."""
        wrapped = getattr(connection.commit, "func", None)
        present = getattr(wrapped, "__self__", None)
        return present if isinstance(present, cls) else cls(connection)

    def _then_untie(self, by: str, end: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        connection = self._connection
        try:
            end(*args, **kwargs)
        finally:
            goes_on = by == "set_autocommit" and not connection.autocommit
            # Closing the connection inside atomic() already ends the transaction.
            if by == "close" or not (goes_on or connection.in_atomic_block):
                # First the ties: if interrupted, the next end of a transaction goes on here.
                while self.ties:
                    self.ties.pop(0)()
                for verb in self.VERBS:
                    vars(connection).pop(verb, None)


def _is_tied(hold: LocalHold, connection: Any) -> bool:
    needs = [need for need in list(hold.needs) if isinstance(need, TransactionNeed)]
    return any(need.is_of(connection) for need in needs)
