"""Contention: processes that read, change and write the same rows."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from django_redislock import lock
from tests.support.places import Place
from tests.support.processes import Workers, context

from .bank.models import Account, Vault
from .contention import move, withdraw
from .threads import elsewhere, start

PROCESSES = 4
BALANCE = 2000
EACH_WRITES = pytest.mark.parametrize("times", [20, pytest.param(500, marks=pytest.mark.long)])

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True, databases=["default", "postgresql"]),
    pytest.mark.timeout(300),
]


@pytest.fixture
def database() -> dict[str, object]:
    """The connection settings of the test's database, for other processes."""
    return {"NAME": connections["postgresql"].settings_dict["NAME"]}


@pytest.fixture
def account() -> Account:
    return Account.objects.using("postgresql").create(balance=BALANCE)


@EACH_WRITES
def test_locked_methods_lose_no_update(
    account: Account, place: Place, database: Any, workers: Workers, times: int
) -> None:
    for _ in range(PROCESSES):
        workers.start(withdraw, place, database, account.pk, times, True)
    workers.results(within=250)
    account.refresh_from_db()
    assert account.balance == BALANCE - PROCESSES * times


@pytest.mark.long
def test_methods_without_a_lock_lose_updates(
    account: Account, place: Place, database: Any, workers: Workers
) -> None:
    """Otherwise the test above would prove nothing."""
    together = context.Barrier(PROCESSES)
    arguments = (account.pk, 100, False, together)
    for _ in range(PROCESSES):
        workers.start(withdraw, place, database, *arguments)
    workers.results(within=250)
    account.refresh_from_db()
    assert account.balance > BALANCE - PROCESSES * 100


@EACH_WRITES
def test_threads_with_separate_instances_lose_no_update(account: Account, times: int) -> None:
    def work() -> None:
        own = Account.objects.using("postgresql").get(pk=account.pk)
        for _ in range(times // 4):
            own.withdraw(1)

    for thread in [start(work) for _ in range(PROCESSES)]:
        thread.result(250)
    account.refresh_from_db()
    assert account.balance == BALANCE - PROCESSES * (times // 4)


@EACH_WRITES
def test_rows_held_together_keep_their_sum(
    place: Place, database: Any, workers: Workers, times: int
) -> None:
    rows = Vault.objects.using("postgresql")
    one, two = rows.create(gold=1000), rows.create(gold=1000)
    for index in range(PROCESSES):
        pair = (one.pk, two.pk) if index % 2 else (two.pk, one.pk)
        workers.start(move, place, database, *pair, times // 4)
    workers.results(within=250)
    assert list(rows.order_by("pk").values_list("gold", flat=True)) == [1000, 1000]


def test_holders_of_several_rows_do_not_deadlock() -> None:
    rows = Account.objects.using("postgresql")
    one, two = rows.create(), rows.create()

    def transfer(*pks: int) -> None:
        for _ in range(20):
            with rows.locked(pks, wait=60) as (giver, taker):
                giver.balance -= 1
                taker.balance += 1
                giver.save()
                taker.save()

    there, back = start(transfer, one.pk, two.pk), start(transfer, two.pk, one.pk)
    there.result(100)
    back.result(100)
    assert set(rows.filter(pk__in=[one.pk, two.pk]).values_list("balance", flat=True)) == {0}


def test_the_lock_is_kept_until_the_commit(account: Account) -> None:
    written, go_on = threading.Event(), threading.Event()

    def first() -> None:
        own = Account.objects.using("postgresql").get(pk=account.pk)
        with transaction.atomic(using="postgresql"):
            own.withdraw(1)
            written.set()
            assert go_on.wait(60)

    def second() -> int:
        own = Account.objects.using("postgresql").get(pk=account.pk)
        return own.withdraw(1)

    one = start(first)
    assert written.wait(20)
    two = start(second)
    assert not elsewhere(lambda: lock(account.get_lock_name()).acquire(wait=0))
    go_on.set()
    one.result(60)
    assert two.result(60) == BALANCE - 2


def test_repeatable_read_refuses_a_write_based_on_an_old_snapshot(account: Account) -> None:
    def write() -> None:
        Account.objects.using("postgresql").get(pk=account.pk).withdraw(1)

    with pytest.raises(OperationalError, match="could not serialize"):
        with transaction.atomic(using="postgresql"):
            with connections["postgresql"].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            account.refresh_from_db()
            elsewhere(write)
            with account.locked():
                assert account.balance == BALANCE
                account.save()
    with account.locked(), transaction.atomic(using="postgresql"):
        assert account.balance == BALANCE - 1
