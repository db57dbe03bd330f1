"""Transactions, which commit before their locks are released."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connections, transaction
from django.test import TestCase

from django_redislock import lock
from django_redislock.exceptions import LockMisuse
from django_redislock.handles.single import Lock
from tests.rows.databases import ON_EACH
from tests.support.another_thread import is_free


class Fails(Exception):
    pass


IN_POSTGRESQL = pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])


@ON_EACH
def test_a_release_inside_atomic_waits_for_the_commit(database: Any) -> None:
    with transaction.atomic(database):
        with lock("row"):
            pass
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_a_release_inside_atomic_of_a_task_waits_for_the_commit(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

    async def write() -> None:
        try:
            with transaction.atomic(database):
                async with lock("row"):
                    pass
                assert not is_free("row")
            assert is_free("row")
        finally:
            connections[database].close()
            if (kept := connections[database].connection) is not None:
                kept.close()  # Django does not close a database in memory

    asyncio.run(write())


@ON_EACH
def test_a_release_inside_atomic_is_done_at_a_rollback(database: Any) -> None:
    with pytest.raises(Fails), transaction.atomic(database):
        with lock("row"):
            pass
        assert not is_free("row")
        raise Fails
    assert is_free("row")


@ON_EACH
def test_a_rollback_to_the_savepoint_of_the_acquire_ends_the_hold_at_once(database: Any) -> None:
    with transaction.atomic(database):
        with pytest.raises(Fails), transaction.atomic(database):
            with lock("row"):
                pass
            assert not is_free("row")
            raise Fails
        assert is_free("row")


@ON_EACH
def test_a_committed_savepoint_does_not_end_the_hold(database: Any) -> None:
    with transaction.atomic(database):
        with transaction.atomic(database), lock("row"):
            pass
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_an_earlier_hold_released_inside_atomic_waits_for_the_outermost_commit(
    database: Any,
) -> None:
    held = lock("row")
    held.acquire()
    with transaction.atomic(database):
        with pytest.raises(Fails), transaction.atomic(database):
            held.release()
            raise Fails
        assert not is_free("row"), "what was written before the savepoint is not committed yet"
    assert is_free("row")


@ON_EACH
def test_a_hold_around_a_transaction_ends_with_its_block(database: Any) -> None:
    with lock("row"):
        with transaction.atomic(database):
            pass
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_the_next_use_in_the_same_transaction_shares_the_hold(database: Any) -> None:
    with transaction.atomic(database):
        with lock("row") as first:
            pass
        with lock("row", wait=0) as second:
            assert second.fence == first.fence
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_a_kept_hold_is_renewed_without_its_handle(database: Any) -> None:
    def use() -> None:
        with lock("row", lease=2):
            pass

    with transaction.atomic(database):
        use()
        own = lock("row")
        held_for = threading.Event()
        held_for.wait(3)  # without renewal it would be free by now
        assert not is_free("row")
        assert not own.held
    assert is_free("row")


@pytest.mark.parametrize(
    ("database", "kill"),
    [
        pytest.param(
            "postgresql",
            "SELECT pg_terminate_backend(pg_backend_pid())",
            marks=[pytest.mark.postgresql, IN_POSTGRESQL],
        ),
        pytest.param(
            "mariadb",
            "KILL CONNECTION_ID()",
            marks=[
                pytest.mark.mariadb,
                pytest.mark.django_db(transaction=True, databases=["default", "mariadb"]),
            ],
        ),
    ],
)
def test_a_broken_connection_ends_the_hold(database: Any, kill: Any) -> None:
    with pytest.raises(OperationalError), transaction.atomic(database):
        with lock("row"):
            pass
        assert not is_free("row")
        with connections[database].cursor() as cursor:
            cursor.execute(kill)
    assert is_free("row")


@ON_EACH
def test_a_rollback_of_the_outer_savepoint_ends_holds_of_the_inner_one(database: Any) -> None:
    with transaction.atomic(database):
        with pytest.raises(Fails), transaction.atomic(database):
            with transaction.atomic(database), lock("inner"):
                pass
            with lock("outer"):
                pass
            with pytest.raises(Fails), transaction.atomic(database):
                raise Fails
            assert not is_free("inner")
            assert not is_free("outer")
            raise Fails
        assert is_free("inner"), "its savepoint was kept, but the one around it was not"
        assert is_free("outer")


@ON_EACH
def test_without_a_savepoint_the_rollback_of_the_transaction_ends_the_hold(database: Any) -> None:
    with pytest.raises(Fails), transaction.atomic(database):
        with pytest.raises(Fails), transaction.atomic(database, savepoint=False):
            with lock("row"):
                pass
            raise Fails
        assert not is_free("row"), "nothing is rolled back yet"
        raise Fails
    assert is_free("row")


@IN_POSTGRESQL
@pytest.mark.postgresql
def test_a_rollback_in_one_of_two_databases_does_not_end_the_hold() -> None:
    with transaction.atomic("default"):
        with pytest.raises(Fails), transaction.atomic("postgresql"):
            with lock("row"):
                pass
            raise Fails
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_other_on_commit_callbacks_run_as_usual(database: Any) -> None:
    order: list[str] = []
    with transaction.atomic(database):
        transaction.on_commit(
            lambda: order.append(f"first, free: {is_free('row')}"), using=database
        )
        with lock("row"):
            pass
        transaction.on_commit(
            lambda: order.append(f"second, free: {is_free('row')}"), using=database
        )
    assert order == ["first, free: True", "second, free: True"]


@ON_EACH
def test_a_failing_on_commit_callback_does_not_keep_the_hold(database: Any) -> None:
    def fail() -> None:
        raise Fails

    with pytest.raises(Fails) as caught, transaction.atomic(database):
        transaction.on_commit(fail, using=database)
        with lock("row"):
            pass
    # Django has dropped the callbacks after this one, but the traceback has not.
    assert caught.tb is not None
    assert is_free("row")


@pytest.mark.django_db
def test_the_transaction_of_testcase_does_not_count(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        with transaction.atomic(), lock("row"):
            pass
        assert is_free("row")
    assert callbacks == []


class InTestCase(TestCase):
    """Locks inside Django's own TestCase."""

    def test_callbacks_are_captured_and_run_as_without_a_lock(self) -> None:
        ran: list[str] = []
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            with transaction.atomic(), lock("row"):
                transaction.on_commit(lambda: ran.append(f"free: {is_free('row')}"))
        assert len(callbacks) == 1
        assert ran == ["free: True"]

    def test_a_lock_is_free_when_its_block_is_left(self) -> None:
        with lock("row"):
            Group.objects.create(name="written under the lock")
        assert is_free("row")
        with transaction.atomic():
            with lock("row"):
                Group.objects.create(name="written in a block that is never committed")
            assert is_free("row")

    def test_the_transaction_of_the_test_causes_no_warning(self) -> None:
        with self.settings(DEBUG=True), lock("row", wait=1):
            Group.objects.create(name="written under the lock")

    def test_a_wait_in_a_separate_transaction_warns(self) -> None:
        with self.settings(DEBUG=True), transaction.atomic():
            with pytest.warns(LockMisuse, match="Take the lock around atomic"), lock("row", wait=1):
                pass


@IN_POSTGRESQL
@pytest.mark.postgresql
def test_a_release_inside_two_transactions_waits_for_both() -> None:
    with transaction.atomic("default"):
        with transaction.atomic("postgresql"), lock("row"):
            pass
        assert not is_free("row")
    assert is_free("row")


@ON_EACH
def test_a_loss_before_the_commit_is_reported(
    database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction.atomic(database):
        with lock("row") as held:
            token = held.token
        assert isinstance(held, Lock)
        assert held.backend.force_release("row", token)
    assert "was lost" in caplog.text
    assert held.lost
