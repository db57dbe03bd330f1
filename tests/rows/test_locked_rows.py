"""Several rows, held together by ``Model.objects.locked()``."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, models, transaction
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_redislock import LockError, LockLost, LockNotAcquired, lock
from django_redislock.rows.querysets import LockableManager, LockableQuerySet
from django_redislock.testing import lose
from tests.support.processes import wait_until

from .bank.models import Account, Branch, Card, Restaurant, Seat, Ticket
from .databases import ON_SERVERS
from .threads import elsewhere, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def accounts() -> list[Account]:
    return [Account.objects.create(balance=amount) for amount in (1, 2, 3)]


def held_names() -> set[str]:
    return {hold.name for hold in lock("any").backend.list().holds}


def test_rows_are_returned_in_the_given_order_and_refreshed(accounts: Any) -> None:
    one, _, three = accounts
    with Account.objects.locked([three.pk, one.pk]) as rows:
        assert [row.pk for row in rows] == [three.pk, one.pk]
        assert held_names() == {three.get_lock_name(), one.get_lock_name()}
        assert [row.lock_held.name for row in rows] == [row.get_lock_name() for row in rows]
    assert held_names() == set()
    assert rows[0].lock_held is None


def test_instances_keep_their_identity(accounts: Any) -> None:
    one, two, _ = accounts
    Account.objects.update(balance=7)
    with Account.objects.locked([two, one.pk, one]) as rows:
        assert rows[0] is two
        assert rows[2] is one
        assert rows[1] is not one
        assert [row.balance for row in rows] == [7, 7, 7]
        assert two.lock_held is not None


def test_refresh_false_applies_to_the_given_instances(accounts: Any) -> None:
    one, two, _ = accounts
    Account.objects.update(balance=7)
    with Account.objects.locked([one, two.pk], refresh=False) as rows:
        assert [row.balance for row in rows] == [1, 7]


def test_the_rows_of_a_queryset_are_held(accounts: Any, django_assert_num_queries: Any) -> None:
    few = Account.objects.filter(balance__gt=1).order_by("-balance")
    with django_assert_num_queries(2), few.locked() as rows:
        assert [row.balance for row in rows] == [3, 2]
    with Account.objects.locked(few) as rows:
        assert [row.balance for row in rows] == [3, 2]
    with Account.objects.locked(few[:1]) as rows:
        assert [row.balance for row in rows] == [3]
        assert len(held_names()) == 1
    with Account.objects.all().locked() as rows:
        assert len(rows) == 3
    with pytest.raises(TypeError, match="rows"):
        Account.objects.locked()


def test_the_rows_of_a_related_manager_are_held() -> None:
    branch = Branch.objects.create()
    account = Account.objects.create(branch=branch)
    Account.objects.create()
    with branch.account_set.all().locked() as rows:
        assert rows == [account]


def test_rows_that_no_longer_match_are_left_out(accounts: Any) -> None:
    name = accounts[2].get_lock_name()
    with lock(name) as held:
        waiting = start(lambda: _balances(Account.objects.filter(balance__gt=1)))
        wait_until(lambda: held.backend.inspect(name)[1], what="it waits")
        Account.objects.filter(pk=accounts[2].pk).update(balance=0)
    assert waiting.result(40) == [2]


def _balances(rows: models.QuerySet[Account]) -> list[int]:
    with Account.objects.locked(rows, wait=30) as found:
        return [row.balance for row in found]


@ON_SERVERS
@pytest.mark.parametrize("by_key", [True, False])
def test_the_database_locks_no_row_for_a_waiter(database: str, by_key: bool) -> None:
    """Otherwise the holder, who writes the row, and the waiter would wait for each other."""
    account = Account.objects.using(database).create()
    wanted = [[account.pk]] if by_key else []
    with account.locked() as held:
        waiting = start(lambda: _for_update(database, wanted))
        wait_until(lambda: held.backend.inspect(held.name)[1], what="it waits")
        account.balance = 5
        account.save()
    balances, sent = waiting.result(40)
    assert balances == [5]
    assert sum(sql.endswith("FOR UPDATE") for sql in sent) == 1, "it is locked when it is held"


def _for_update(database: str, wanted: list[list[int]]) -> tuple[list[int], list[str]]:
    rows = LockableQuerySet(Account, using=database).select_for_update()
    with transaction.atomic(using=database):
        with CaptureQueriesContext(connections[database]) as queries:
            with rows.locked(*wanted, wait=20) as found:
                return [row.balance for row in found], [query["sql"] for query in queries]


def test_rows_given_by_key_or_instance_must_exist(accounts: Any) -> None:
    with pytest.raises(Account.DoesNotExist, match="primary key 0"):
        with Account.objects.locked([accounts[0].pk, 0]):
            pass
    gone = accounts[1]
    Account.objects.filter(pk=gone.pk).delete()
    with pytest.raises(Account.DoesNotExist):
        with Account.objects.locked([accounts[0], gone]):
            pass
    assert held_names() == set()
    assert accounts[0].lock_held is None


def test_a_block_can_be_entered_again(accounts: Any) -> None:
    block = Account.objects.filter(balance=3).locked()
    with pytest.raises(LockLost), block as first:
        assert first == [accounts[2]]
        Account.objects.update(balance=0)
        lose(first[0].get_lock_name())
    with block as rows:  # which has no lock that could be lost
        assert rows == []
        assert held_names() == set()
    Account.objects.filter(pk=accounts[0].pk).update(balance=3)
    with block as rows:
        assert rows == [accounts[0]]
        assert held_names() == {accounts[0].get_lock_name()}
        assert first[0].lock_held is None


def test_a_block_cannot_be_entered_within_itself(accounts: Any) -> None:
    """The outer hold would be forgotten, and last until its lease ends."""
    block = Account.objects.locked(accounts)
    with block as rows:
        names = held_names()
        with pytest.raises(LockError, match="held by it already"):
            block.__enter__()
        assert held_names() == names
        assert all(row.lock_held is not None for row in rows)
    assert held_names() == set()
    assert rows[0].lock_held is None


def test_no_rows_need_no_lock() -> None:
    with Account.objects.locked([]) as rows:
        assert rows == []
    with Account.objects.none().locked() as rows:
        assert rows == []


def test_one_busy_row_leaves_none_held(accounts: Any) -> None:
    one, two, _ = accounts
    with lock(two.get_lock_name()):
        with pytest.raises(LockNotAcquired) as busy:
            elsewhere(lambda: Account.objects.locked([one, two], wait=0).__enter__())
        assert held_names() == {two.get_lock_name()}
    assert busy.value.name == two.get_lock_name()


def test_a_locked_method_within_the_block_shares_the_hold(accounts: Any) -> None:
    with Account.objects.locked([accounts[0].pk]) as (account,):
        assert account.withdraw(5) == -4


def test_a_coroutine_holds_several_rows(accounts: Any) -> None:
    async def scenario() -> None:
        one, two, _ = accounts
        await Account.objects.aupdate(balance=7)
        async with Account.objects.locked([two.pk, one]) as rows:
            assert [row.balance for row in rows] == [7, 7]
            assert rows[1] is one
        assert one.lock_held is None

    async_to_sync(scenario)()
    assert held_names() == set()


@isolate_apps("tests.rows.bank")
def test_a_name_may_need_a_query_in_a_coroutine() -> None:
    class Named(Account):
        lock_name = "at:{self.branch.name}"

        class Meta:
            proxy = True
            app_label = "bank"

    Named.objects.create(branch=Branch.objects.create(name="north"))

    async def scenario() -> None:
        async with Named.objects.all().locked() as (account,):
            assert account.lock_held.name == "at:north"

    async_to_sync(scenario)()


def test_rows_with_any_kind_of_primary_key_are_held() -> None:
    seat = Seat.objects.create(row="A", number=7)
    with Seat.objects.locked([("A", 7)]) as rows:
        assert rows == [seat]
    ticket = Ticket.objects.create()
    with LockableQuerySet(Ticket).locked([str(ticket.pk)]) as rows:
        assert rows == [ticket]


def test_parent_and_child_are_held_once() -> None:
    restaurant = Restaurant.objects.create()
    with Restaurant.objects.locked([restaurant, restaurant.place_ptr]) as rows:
        assert held_names() == {restaurant.get_lock_name()}
        assert {row.lock_held.fence for row in rows} == {rows[0].lock_held.fence}


def test_options_of_the_call_extend_those_of_the_model(accounts: Any) -> None:
    Card.objects.create(pk=1, number="7")
    for block in (
        Card.objects.all().locked(label="me"),
        Card.objects.all().locked(label="me", what=None),
        Card.objects.locked([1], label="me"),
        Card.objects.locked([1], label="me", what=None),
    ):
        with block as (card,):
            assert card.lock_held.wait == 0
            (hold,), _ = card.lock_held.backend.inspect("card:7")
        assert hold.holder.label == "me"
        assert hold.holder.what.endswith("test_options_of_the_call_extend_those_of_the_model")


def test_rows_that_cannot_be_held_are_refused() -> None:
    with pytest.raises(TypeError, match="without values"):
        Account.objects.values("pk").locked()
    with pytest.raises(TypeError, match=r"Write class Branch\(LockableMixin, "):
        LockableQuerySet(Branch).locked()
    rows = Account.objects.all()
    for together in (rows.union(rows), rows.difference(rows)):
        with pytest.raises(TypeError, match="Pass their primary keys"):
            Account.objects.locked(together)
    for wrong in ("12", 12, Account(pk=12), None):
        for either in (rows, Account.objects):
            with pytest.raises(TypeError, match="a list of primary keys or ins.*, not .*(12|None)"):
                either.locked(wrong)
    with pytest.raises(ValueError, match="neither saved nor fetched"):
        with Account.objects.locked([Account()]):
            pass


@isolate_apps("tests.rows.bank")
def test_the_queryset_works_in_a_custom_manager() -> None:
    class Rich(LockableQuerySet):
        def rich(self) -> Any:
            return self.filter(balance__gt=1)

    class Own(Account):
        objects = models.Manager.from_queryset(Rich)()

        class Meta:
            proxy = True
            app_label = "bank"

    Own.objects.create(balance=5)
    Own.objects.create(balance=0)
    with Own.objects.rich().locked() as rows:
        assert [row.balance for row in rows] == [5]
    with Own.objects.locked([rows[0].pk]) as (row,):
        (hold,), _ = row.lock_held.backend.inspect(row.get_lock_name())
    assert hold.holder.what.endswith("test_the_queryset_works_in_a_custom_manager")

    class More(Account):
        objects = LockableManager.from_queryset(Rich)()
        others = Rich.as_manager()

        class Meta:
            proxy = True
            app_label = "bank"

    for manager in (More.objects, More.others):
        with manager.locked(manager.rich()) as rows:
            assert [row.balance for row in rows] == [5]
        with pytest.raises(TypeError, match="rows"):
            manager.locked()  # so that no caller holds all rows by mistake
    assert More.others.deconstruct()[:2] == (True, None)
