"""Locks that are free before the commit, or never."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction

from django_redislock import lock
from tests.support.another_thread import in_thread, is_free

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True, databases=["default", "postgresql"]),
]


def committed() -> int:
    """The number of rows that another connection sees."""

    def count() -> int:
        try:
            return Group.objects.using("postgresql").count()
        finally:
            connections["postgresql"].close()

    return in_thread(count)


def test_the_lock_is_not_free_before_the_transaction_commits() -> None:
    """django-pglocks#15: the next holder reads outdated rows."""
    with transaction.atomic("postgresql"):
        with lock("row"):
            Group.objects.using("postgresql").create(name="written under the lock")
        assert committed() == 0
        assert not is_free("row")
    assert committed() == 1
    assert is_free("row")


def test_a_rollback_does_not_leak_the_lock() -> None:
    """django-logic#141: it was freed by on_commit(), which a rollback never calls."""
    with pytest.raises(KeyError), transaction.atomic("postgresql"):
        with lock("row", lease=600):
            Group.objects.using("postgresql").create(name="written under the lock")
        assert not is_free("row")
        raise KeyError
    assert committed() == 0
    assert is_free("row")
