"""Interruptions of a transaction that keeps a hold until its commit."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections, transaction

from django_redislock import lock, lock_backends
from django_redislock.handles.attempts import HandleNeed
from django_redislock.local.background import background
from django_redislock.local.registry import Attempt, registry
from django_redislock.transactions import ManualTransaction, Tie
from tests.rows.databases import ON_EACH
from tests.support.another_thread import is_free
from tests.support.interruptions import PACKAGE, Interruption, interrupt, places_in
from tests.support.left_behind import left_behind
from tests.support.processes import wait_until


def in_atomic(number: int) -> None:
    with transaction.atomic(), lock(f"kept:{number}", lease=60):
        pass


def without_autocommit(number: int) -> None:
    connection.set_autocommit(False)
    try:
        with lock(f"kept:{number}", lease=60):
            pass
        connection.commit()
    finally:
        connection.set_autocommit(True)


# Some places are in the __del__() of a tie, whose exceptions Python only reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("work", [in_atomic, without_autocommit])
def test_nothing_is_held_after_an_interruption(work: Callable[[int], None]) -> None:
    """The traceback of the interruption is kept, and with it what the transaction has kept."""
    # Only in the package: Django itself does not survive every interruption of a commit. At their
    # beginnings, no code of ours runs yet.
    left = left_behind(work, "kept", inside=PACKAGE)
    assert set(left) <= {"__exit__", "__call__"}


def test_a_tie_that_was_interrupted_at_its_beginning_ends_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reported.append(report.exc_value))
    handle = lock("a", lease=60)
    with handle:
        places = places_in(lambda: Tie(handle, handle._hold, connection), inside=PACKAGE)
        for place in range(places):
            interrupt(lambda: Tie(handle, handle._hold, connection), at=place, inside=PACKAGE)
            gc.collect()
            assert handle.held, place

    assert [error for error in reported if not isinstance(error, Interruption)] == []


@ON_EACH
@pytest.mark.parametrize("verb", ["_commit", "_rollback"])
def test_a_transaction_that_is_interrupted_after_the_database_has_ended_it_ends_the_hold(
    database: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a signal during the round trip: Django keeps its callbacks until the next commit."""
    own = connections[database]
    end = getattr(own, verb)

    def interrupted() -> None:
        end()
        raise Interruption

    monkeypatch.setattr(own, verb, interrupted)
    with pytest.raises(Interruption), transaction.atomic(database):
        with lock("row", lease=600):
            pass
        if verb == "_rollback":
            raise ZeroDivisionError
    monkeypatch.undo()
    assert own.run_on_commit
    wait_until(lambda: is_free("row"))

    # The callback that is left ends nothing that began afterwards.
    with lock("row", lease=600) as held:
        with transaction.atomic(database):
            pass
        assert held.owned()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("after_another", [False, True], ids=["alone", "after an interrupted call"])
def test_a_sweep_during_a_release_in_a_transaction_does_not_end_the_hold(
    after_another: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep has read which needs there are, but not yet that the handle's is over."""
    caller = threading.current_thread()
    held = lock("row", lease=600)
    held.acquire()
    # What the sweep does when it looks at the need of the handle.
    steps: list[Callable[[], object]] = [held.release]
    if after_another:
        steps.append(lambda: None)
    is_handle_of: Any = HandleNeed.handle

    def handle_of(need: HandleNeed) -> Any:
        if steps and threading.current_thread() is caller:
            steps.pop()()
        return is_handle_of.fget(need)

    with transaction.atomic():
        if after_another:
            Attempt(None, [(held._hold, HandleNeed(lock("row", reentrant=True)))])
        with monkeypatch.context() as patch:
            patch.setattr(HandleNeed, "handle", property(handle_of))
            registry.sweep()
        assert not steps
        registry.sweep()
        assert background.flush(30)
        assert not is_free("row")
    wait_until(lambda: is_free("row"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["commit", "rollback", "set_autocommit"])
@pytest.mark.parametrize("interrupted", ["the beginning", "the end"])
def test_a_connection_is_watched_again_after_an_interruption(verb: str, interrupted: str) -> None:
    """The next hold of its transaction ends with it all the same."""
    real = connections["default"]

    def end() -> None:
        getattr(connection, verb)(*[True] * (verb == "set_autocommit"))

    def watched() -> None:
        connection.set_autocommit(False)
        if interrupted == "the end":
            ManualTransaction(real)

    def watch() -> None:
        ManualTransaction(real)

    work = watch if interrupted == "the beginning" else end
    watched()
    try:
        places = places_in(work, inside=PACKAGE)
        end()
        for place in range(places):
            watched()
            interrupt(work, at=place, inside=PACKAGE)
            connection.set_autocommit(False)
            with lock("a", lease=60):
                pass
            end()
            assert not lock_backends["default"].inspect("a")[0], place
    finally:
        connection.set_autocommit(True)
