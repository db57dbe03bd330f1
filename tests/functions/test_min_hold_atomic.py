"""Minimum holds inside a transaction, which last until both are over."""

from __future__ import annotations

import time

import pytest
from django.db import transaction

from django_redislock import lock_backends
from django_redislock.functions.decorator import locked
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def remaining() -> float:
    return sum(hold.remaining for hold in lock_backends["default"].inspect("report")[0])


def report(min_hold: float) -> None:
    locked("report", min_hold=min_hold, lease=30)(lambda: None)()


def test_a_longer_transaction_keeps_the_lock() -> None:
    with transaction.atomic():
        report(0.05)
        time.sleep(0.1)
        assert remaining() > 15, "it has its own lease, and is renewed"
    assert remaining() == 0


def test_a_shorter_transaction_does_not_end_the_minimum_hold() -> None:
    with transaction.atomic():
        report(60)
    assert 45 < remaining() <= 60


def test_a_rollback_does_not_end_the_minimum_hold() -> None:
    with pytest.raises(KeyError), transaction.atomic():
        report(2.5)
        raise KeyError
    assert 0 < remaining() <= 2.5
    wait_until(lambda: not remaining(), what="it ends by itself")
