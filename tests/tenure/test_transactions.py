"""The database commits before the lock is released."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connections, transaction

from django_redislock import lock
from django_redislock.lock import Lock


def is_free(name: str) -> bool:
    """Whether another thread, which is in no transaction of ours, could have the lock now."""
    answers: list[bool] = []

    def ask() -> None:
        other = lock(name)
        if other.acquire(wait=0):
            answers.append(True)
            other.release()
        else:
            answers.append(False)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


class Fails(Exception):
    pass


in_transactions = pytest.mark.django_db(transaction=True)


@in_transactions
def test_a_release_inside_atomic_waits_for_the_commit():
    with transaction.atomic():
        with lock("row"):
            pass
        assert not is_free("row")
    assert is_free("row")


@in_transactions
def test_and_for_the_rollback_at_once():
    with pytest.raises(Fails), transaction.atomic():
        with lock("row"):
            pass
        assert not is_free("row")
        raise Fails
    assert is_free("row")


@in_transactions
def test_a_rollback_to_the_savepoint_in_which_it_was_taken_ends_it_at_once():
    with transaction.atomic():
        with pytest.raises(Fails), transaction.atomic():
            with lock("row"):
                pass
            assert not is_free("row")
            raise Fails
        assert is_free("row")


@in_transactions
def test_a_savepoint_that_is_kept_does_not_end_it():
    with transaction.atomic():
        with transaction.atomic(), lock("row"):
            pass
        assert not is_free("row")
    assert is_free("row")


@in_transactions
def test_taken_before_and_released_within_a_transaction_it_waits_for_the_whole():
    held = lock("row")
    held.acquire()
    with transaction.atomic():
        with pytest.raises(Fails), transaction.atomic():
            held.release()
            raise Fails
        assert not is_free("row"), "what was written before the savepoint is not committed yet"
    assert is_free("row")


@in_transactions
def test_taken_around_a_transaction_it_is_released_when_it_is_released():
    with lock("row"):
        with transaction.atomic():
            pass
        assert not is_free("row")
    assert is_free("row")


@in_transactions
def test_the_next_use_in_the_same_transaction_shares_the_hold():
    with transaction.atomic():
        with lock("row") as first:
            pass
        with lock("row", wait=0) as second:
            assert second.fence == first.fence
        assert not is_free("row")
    assert is_free("row")


@in_transactions
def test_it_is_kept_and_renewed_when_nobody_has_the_handle_any_more():
    def use() -> None:
        with lock("row", lease=0.3):
            pass

    with transaction.atomic():
        use()
        own = lock("row")
        held_for = threading.Event()
        held_for.wait(0.6)  # two leases: without renewal it would be free by now
        assert not is_free("row")
        assert not own.held
    assert is_free("row")


@pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
@pytest.mark.postgresql
def test_a_connection_that_breaks_ends_it():
    with pytest.raises(OperationalError), transaction.atomic("postgresql"):
        with lock("row"):
            pass
        assert not is_free("row")
        with connections["postgresql"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert is_free("row")


@in_transactions
def test_on_commit_callbacks_of_others_run_as_ever():
    order: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: order.append(f"first, free: {is_free('row')}"))
        with lock("row"):
            pass
        transaction.on_commit(lambda: order.append(f"second, free: {is_free('row')}"))
    assert order == ["first, free: False", "second, free: True"]


@pytest.mark.django_db
def test_the_transaction_of_testcase_does_not_count(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        with transaction.atomic(), lock("row"):
            pass
        assert is_free("row")
    assert callbacks == []


@pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
@pytest.mark.postgresql
def test_with_transactions_in_two_databases_it_waits_for_both():
    with transaction.atomic("default"):
        with transaction.atomic("postgresql"), lock("row"):
            pass
        assert not is_free("row")
    assert is_free("row")


@in_transactions
def test_lost_before_the_commit_it_is_told(caplog):
    with transaction.atomic():
        with lock("row") as held:
            token = held.token
        assert isinstance(held, Lock)
        assert held.backend.force_release("row", token)
    assert "was lost" in caplog.text
    assert held.lost
