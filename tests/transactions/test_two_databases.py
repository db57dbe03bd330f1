"""Holds that transactions in several databases keep."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import transaction

from django_redislock import lock
from tests.support.another_thread import is_free

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True, databases=["default", "postgresql"]),
]


def test_a_transaction_opened_during_the_hold_keeps_it() -> None:
    with transaction.atomic("postgresql"):
        with transaction.atomic("default"):
            held = lock("row")
            held.acquire()
        other = transaction.atomic("default")
        other.__enter__()
        held.release()
        other.__exit__(None, None, None)
        assert not is_free("row")
    assert is_free("row")
    with transaction.atomic("default"):
        held.acquire()
        with transaction.atomic("postgresql"):
            held.release()
        assert not is_free("row")
    assert is_free("row")


def test_the_later_of_two_transactions_keeps_the_hold() -> None:
    first, second = transaction.atomic("default"), transaction.atomic("postgresql")
    first.__enter__()
    held = lock("row")
    held.acquire()
    second.__enter__()
    held.release()
    first.__exit__(None, None, None)
    assert not is_free("row")
    second.__exit__(None, None, None)
    assert is_free("row")


def test_a_rolled_back_savepoint_still_ends_the_hold() -> None:
    with transaction.atomic("default"):
        with suppress(LookupError), transaction.atomic("default"):
            with lock("row"):
                pass
            raise LookupError
        assert is_free("row")
