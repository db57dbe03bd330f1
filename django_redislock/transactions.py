"""The order of lock and database transaction: what was written is committed before the release.

Released earlier, the next holder would read what was true before.
"""

from __future__ import annotations

import threading
import weakref
from asyncio import _get_running_loop
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from asgiref.sync import AsyncToSync, sync_to_async
from django.db import connections

from .local.owners import this_owner
from .twins import perform

if TYPE_CHECKING:
    from .local.hold import LocalHold
    from .local.owners import Owner

__all__ = [
    "ManualTransaction",
    "Tie",
    "cut_ties",
    "owner_above",
    "tie_above",
    "tie_to_transactions",
]


# What ends a transaction's need: a coroutine function of a call, a handle, a hold and the need.
Untie: TypeAlias = "Callable[..., Coroutine[Any, Any, None]]"


def tie_to_transactions(handle: Any, hold: LocalHold, untie: Untie, *, whole: bool) -> None:
    """Let the hold last until the transactions that are open now are over, in all databases.

    A rollback to the present savepoint ends it too, unless it is tied to ``whole`` transactions.
    """
    # What connections.all(initialized_only=True) looks at too, but in a fraction of its time.
    opened: Any = connections._connections  # type: ignore[attr-defined]
    if isinstance(opened._storage, threading.local):
        if _get_running_loop() is None:
            # What asgiref itself looks into, where no event loop runs.
            opened = opened._storage
        elif not opened._storage.__dict__:
            return  # neither this thread nor any of its tasks has ever had a connection
    for alias in connections.settings:
        connection: Any = getattr(opened, alias, None)
        if connection is None:
            continue
        if connection.in_atomic_block and connection.commit_on_exit:
            # In the transaction that TestCase wraps around a test nothing is ever committed.
            if not _is_test(connection):
                savepoints = set() if whole else set(connection.savepoint_ids)
                # As connection.on_commit() does, which cannot be told to outlive a savepoint. But
                # first of all: callbacks after one that fails live for as long as its traceback.
                tie = Tie(handle, hold, untie)
                connection.run_on_commit.insert(0, (savepoints, tie, True))
        elif connection.connection is not None and not connection.autocommit:
            ManualTransaction.of(connection).ties.append(Tie(handle, hold, untie))


async def owner_above() -> Owner | None:
    """The thread that waits for this coroutine in ``async_to_sync``, if it has a transaction open.

    What the coroutine writes by the ORM is written in that thread, and so in its transaction.
    """
    if getattr(AsyncToSync.executors, "current", None) is None:
        return None
    with suppress(RuntimeError):  # a task that outlives the call, for which nobody waits any more
        return await sync_to_async(_owner_in_transaction)()
    return None


async def tie_above(handle: Any, hold: LocalHold, untie: Untie, *, whole: bool) -> None:
    """``tie_to_transactions`` in the thread of ``owner_above``, which may share the hold then."""
    with suppress(RuntimeError):
        await sync_to_async(_tie_here)(handle, hold, untie, whole=whole)


def _owner_in_transaction() -> Owner | None:
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block and connection.commit_on_exit:
            if not _is_test(connection):
                return this_owner()
        elif connection.connection is not None and not connection.autocommit:
            return this_owner()
    return None


def _tie_here(handle: Any, hold: LocalHold, untie: Untie, *, whole: bool) -> None:
    tie_to_transactions(handle, hold, untie, whole=whole)
    this_owner().take(hold)


class Tie:
    """A callback that Django calls after the commit, or drops: until then the hold is needed.

    There is no callback for a rollback, but a callback that is dropped notices it: at once, since
    nobody else refers to it. Until then it keeps the handle, and the hold is renewed.
    """

    __qualname__ = "django_redislock.release_after_commit"

    def __init__(self, handle: Any, hold: LocalHold, untie: Untie) -> None:
        self.kept = [(handle, hold, untie)]
        self._need = TransactionNeed(self)
        hold.needs[self._need] = None

    def __call__(self) -> None:
        try:
            handle, hold, untie = self.kept.pop()
        except IndexError:
            return
        perform(untie, handle, hold, self._need)

    __del__ = __call__


class TransactionNeed:
    """A transaction's need of a hold. It does not keep the callback alive."""

    __slots__ = ("_tie",)

    is_transaction = True

    def __init__(self, tie: Tie) -> None:
        self._tie = weakref.ref(tie)

    @property
    def handle(self) -> Any:
        """The handle that was used in the transaction; None when that is over."""
        tie = self._tie()
        kept = tie.kept[:1] if tie is not None else []
        return kept[0][0] if kept else None


def cut_ties(hold: LocalHold) -> None:
    """Let no transaction keep the hold any more."""
    for need in list(hold.needs):
        tie = need._tie() if isinstance(need, TransactionNeed) else None
        if tie is not None:
            tie.kept.clear()  # it does nothing when it is called


class ManualTransaction:
    """The end of a transaction while autocommit is switched off.

    Then Django calls nobody at ``commit()``. So this replaces what ends a transaction of that one
    connection object while holds are tied to it. Switching autocommit on commits, too.
    """

    VERBS = ("commit", "rollback", "close", "set_autocommit")

    def __init__(self, connection: Any) -> None:
        self.ties: list[Tie] = []
        self._connection = connection
        for verb in self.VERBS:
            setattr(connection, verb, partial(self._then_untie, verb, getattr(connection, verb)))

    @classmethod
    def of(cls, connection: Any) -> ManualTransaction:
        """The one of this connection; made if there is none."""
        wrapped = getattr(connection.commit, "func", None)
        present = getattr(wrapped, "__self__", None)
        return present if isinstance(present, cls) else cls(connection)

    def _then_untie(self, by: str, end: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        connection = self._connection
        try:
            end(*args, **kwargs)
        finally:
            goes_on = by == "set_autocommit" and not connection.autocommit
            # Closed in atomic(), the connection ends the transaction, and not once more at its end.
            if by == "close" or not (goes_on or connection.in_atomic_block):
                for verb in self.VERBS:
                    vars(connection).pop(verb, None)
                while self.ties:
                    self.ties.pop(0)()


def _is_test(connection: Any) -> bool:
    return any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
