"""Fenced writes while the next holder writes the same rows, or just after it has."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import Count

from django_redislock import LockLost, lock

from .bank.models import Vault
from .databases import ON_SERVERS
from .threads import next_holder_writes, start, stored, take_over

BLOCKED_BY_US = {
    "postgresql": (
        "SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    ),
    "mariadb": (
        "SELECT count(*) FROM information_schema.innodb_lock_waits JOIN"
        " information_schema.innodb_trx ON trx_id = blocking_trx_id"
        " WHERE trx_mysql_thread_id = connection_id()"
    ),
}

WITHOUT_COINS = [
    pytest.param(lambda rows: rows.filter(coin__isnull=True), id="join"),
    pytest.param(lambda rows: rows.annotate(coins=Count("coin")).filter(coins=0), id="aggregate"),
]


def wait_for_a_blocked_writer(database: str) -> None:
    """Wait until another connection waits for the rows that this transaction has written."""
    deadline = monotonic() + 30
    with connections[database].cursor() as cursor:
        while True:
            cursor.execute(BLOCKED_BY_US[database])
            if cursor.fetchone()[0]:
                return
            assert monotonic() < deadline
            sleep(0.2)  # MariaDB shows a copy, which is made anew after a tenth of a second


@ON_SERVERS
@pytest.mark.parametrize("choose", WITHOUT_COINS)
def test_a_stale_write_that_waited_for_the_later_one_is_refused(
    choose: Callable[[Any], Any], database: str
) -> None:
    """It chose the rows before the later holder wrote them."""
    rows = Vault.objects.using(database)
    vault = rows.create(gold=1)
    with lock("vaults") as held:
        with transaction.atomic(using=database):
            rows.filter(pk=vault.pk).update(gold=2, fence=held.fence + 1)
            stale = start(lambda: choose(rows).fenced(held).update(gold=0))
            wait_for_a_blocked_writer(database)
        with pytest.raises(LockLost, match="a later holder has written"):
            stale.result(30)
        assert (stored(vault).gold, stored(vault).fence) == (2, held.fence + 1)


@pytest.mark.mariadb
@pytest.mark.django_db(transaction=True, databases=["default", "mariadb"])
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda vault, held: vault.delete(), id="delete"),
        pytest.param(lambda vault, held: vault.save(), id="save"),
        pytest.param(
            lambda vault, held: Vault.objects.using("mariadb").bulk_update([vault], ["gold"]),
            id="bulk_update",
        ),
        pytest.param(
            lambda vault, held: Vault.objects.using("mariadb").fenced(held).update(gold=0),
            id="fenced_update",
        ),
        pytest.param(
            lambda vault, held: Vault.objects.using("mariadb").fenced(held).delete(),
            id="fenced_delete",
        ),
    ],
)
def test_an_old_snapshot_hides_no_later_write(write: Callable[[Vault, Any], Any]) -> None:
    """Under REPEATABLE READ, MySQL compares the latest row but reads the one of the snapshot."""
    vault = Vault.objects.using("mariadb").create(gold=1)
    with connections["mariadb"].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    with pytest.raises(LockLost), transaction.atomic(using="mariadb"):
        with vault.locked() as held:
            take_over(held, lambda: next_holder_writes(vault, gold=2))
            assert stored(vault).gold == 1
            write(vault, held)
            pytest.fail("The stale write was accepted.")
    assert stored(vault).gold == 2


@pytest.mark.django_db(transaction=True)
def test_many_rows_chosen_by_a_join_are_claimed_by_several_statements() -> None:
    """A database limits the number of parameters of one."""
    Vault.objects.bulk_create(Vault(gold=1) for _ in range(1001))

    def refuse_many(execute: Any, sql: Any, params: Any, many: int, context: Any) -> Any:
        assert len(params or ()) <= 999
        return execute(sql, params, many, context)

    with lock("vaults") as held, connections["default"].execute_wrapper(refuse_many):
        assert Vault.objects.filter(coin__isnull=True).fenced(held).update(gold=0) == 1001
        assert Vault.objects.filter(fence=held.fence, gold=0).count() == 1001
