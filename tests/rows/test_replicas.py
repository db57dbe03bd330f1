"""Rows of models whose router reads from another database than it writes to."""

from __future__ import annotations

from typing import Any

import pytest

from .bank.models import Account

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(databases=["default", "postgresql"]),
]


class Replica:
    """A router for which ``postgresql`` is the replica."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "postgresql"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@pytest.fixture(autouse=True)
def account(settings: Any) -> Account:
    """An account with a balance of 7, which is 1 in the replica as yet."""
    account = Account.objects.create(balance=7)
    Account.objects.using("postgresql").create(pk=account.pk, balance=1)
    settings.DATABASE_ROUTERS = [Replica()]
    return account


def test_a_row_read_from_a_replica_is_locked_and_read_where_it_is_written(account: Account) -> None:
    stale = Account.objects.get(balance=1)
    assert stale.get_lock_name() == account.get_lock_name()
    with stale.locked():
        assert stale.balance == 7
        assert stale._state.db == "default"


def test_rows_chosen_by_their_keys_are_read_where_they_are_written(account: Account) -> None:
    with Account.objects.locked([account.pk]) as (fresh,):
        assert fresh.balance == 7


def test_rows_that_a_queryset_finds_in_a_replica_are_read_where_they_are_written(
    account: Account,
) -> None:
    rows = Account.objects.using("postgresql")
    gone = rows.create(pk=account.pk + 1)
    with rows.filter(pk__in=[account.pk, gone.pk]).locked() as (fresh,):
        assert fresh.balance == 7
        assert fresh._state.db == "default"
    with rows.filter(balance=1).locked() as found:
        assert found == []
