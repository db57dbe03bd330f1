"""Fenced rows, which refuse writes of stale holders."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, connections, models, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_redislock import LockError, LockLost
from django_redislock.rows.methods import locked_method
from django_redislock.testing.driver import SHORT, outlive

from .bank.models import Coin, Vault
from .databases import ON_EACH
from .threads import next_holder_writes, stored, take_over

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database() -> str:
    return "default"


@pytest.fixture
def vault(database: str) -> Vault:
    return Vault.objects.using(database).create(gold=100)


@ON_EACH
def test_a_saved_row_has_the_fence_of_the_hold(vault: Vault) -> None:
    with vault.locked() as held:
        vault.gold = 7
        vault.save()
        assert vault.fence == held.fence
    assert (stored(vault).gold, stored(vault).fence) == (7, held.fence)


@ON_EACH
@pytest.mark.parametrize(
    "arguments",
    [{}, {"update_fields": ["gold"]}, {"force_update": True}, {"update_fields": ["gold", "fence"]}],
    ids=str,
)
def test_a_stale_holder_is_refused_and_the_later_data_stays(vault: Vault, arguments: Any) -> None:
    with pytest.raises(LockLost, match="a later holder has written"):
        with vault.locked() as held:
            vault.gold = 1
            take_over(held, lambda: next_holder_writes(vault, gold=2))
            vault.save(**arguments)
    assert stored(vault).gold == 2
    assert stored(vault).fence > held.fence


@ON_EACH
def test_a_lease_that_has_run_out_is_refused(
    vault: Vault, django_assert_num_queries: Any, database: Any
) -> None:
    with pytest.raises(LockLost, match="lease"):
        with vault.locked(renew=False) as held:
            held.extend(SHORT)
            outlive()
            next_holder_writes(vault, gold=2)
            vault.gold = 1
            with django_assert_num_queries(0, using=database):
                vault.save()
    assert stored(vault).gold == 2


@ON_EACH
def test_the_update_statement_compares_the_fence(
    vault: Vault, django_assert_num_queries: Any, database: Any
) -> None:
    with vault.locked():
        with django_assert_num_queries(1, using=database) as queries:
            vault.save()
    (update,) = queries.captured_queries
    assert re.search(r"\Wfence\W <= ", update["sql"].partition("WHERE")[2])


def test_expressions_can_be_saved(vault: Vault) -> None:
    with vault.locked():
        vault.gold = F("gold") + 5
        vault.save()
    assert stored(vault).gold == 105


def test_an_instance_with_deferred_fields_is_fenced(vault: Vault) -> None:
    partly = Vault.objects.only("gold").get(pk=vault.pk)
    with pytest.raises(LockLost), partly.locked() as held:
        partly.gold = 7
        partly.save()
        assert (stored(vault).gold, stored(vault).fence) == (7, held.fence)
        take_over(held, lambda: next_holder_writes(vault, gold=2))
        partly.save()
    assert stored(vault).gold == 2


def test_coroutines_are_fenced(vault: Vault) -> None:
    async def scenario() -> None:
        async with vault.locked() as held:
            vault.gold = 7
            await vault.asave()
            assert (await Vault.objects.aget(pk=vault.pk)).fence == held.fence
            take_over(held, lambda: next_holder_writes(vault, gold=2))
            with pytest.raises(LockLost):
                await vault.adelete()
            vault.gold = 1
            await vault.asave(update_fields=["gold"])

    with pytest.raises(LockLost):
        async_to_sync(scenario)()
    assert stored(vault).gold == 2


@ON_EACH
def test_without_a_hold_no_query_is_added_and_the_fence_stays(
    vault: Vault, django_assert_num_queries: Any, database: Any
) -> None:
    with stored(vault).locked() as held:
        next_holder_writes(vault, gold=2)
    vault.gold = 3
    with django_assert_num_queries(1, using=database):
        vault.save()
    assert vault.fence == 0
    assert (stored(vault).gold, stored(vault).fence) == (3, held.fence)
    vault.save(update_fields=["fence"])
    assert stored(vault).fence == held.fence
    with django_assert_num_queries(1, using=database):
        Vault(gold=1).save(using=database)
    with CaptureQueriesContext(connections[database]) as djangos:
        models.Model.delete(Vault.objects.using(database).create())
    with CaptureQueriesContext(connections[database]) as ours:
        Vault.objects.using(database).create().delete()
    assert len(ours) == len(djangos)


def test_a_deleted_row_is_handled_as_in_django(vault: Vault) -> None:
    with vault.locked() as held:
        Vault.objects.all().delete()
        with pytest.raises(DatabaseError, match="did not affect any rows"):
            vault.save(force_update=True)
        with pytest.raises(DatabaseError, match="did not affect any rows"):
            vault.save(update_fields=["gold"])
        vault.save()
        assert stored(vault).fence == held.fence
        Vault.objects.all().delete()
        assert vault.delete()[0] == 0


@ON_EACH
def test_a_stale_holder_cannot_delete(vault: Vault) -> None:
    Coin.objects.using(vault._state.db).create(vault=vault)
    with pytest.raises(LockLost, match="a later holder has written"):
        with vault.locked() as held:
            take_over(held, lambda: next_holder_writes(vault, gold=2))
            vault.delete()
    assert stored(vault).gold == 2
    assert Coin.objects.using(vault._state.db).count() == 1
    with vault.locked():
        assert vault.delete()[0] == 2
    assert not Vault.objects.using(vault._state.db).exists()


@ON_EACH
def test_a_failed_delete_leaves_the_fence_unchanged(vault: Vault, database: Any) -> None:
    def refuse_delete(execute: Any, sql: Any, params: Any, many: int, context: Any) -> Any:
        if sql.startswith("DELETE") and "bank_vault" in sql:
            raise InterruptedError
        return execute(sql, params, many, context)

    with vault.locked(), connections[database].execute_wrapper(refuse_delete):
        with pytest.raises(InterruptedError):
            vault.delete()
    assert stored(vault).fence == 0


def test_templates_cannot_call_delete() -> None:
    assert Vault.delete.alters_data


@isolate_apps("tests.rows.bank")
def test_a_model_with_select_on_save_is_fenced(vault: Vault) -> None:
    class Slow(Vault):
        class Meta:
            proxy = True
            app_label = "bank"
            select_on_save = True

    slow = Slow.objects.get(pk=vault.pk)
    with pytest.raises(LockLost):
        with slow.locked() as held:
            slow.gold = 7
            slow.save()
            assert stored(vault).fence == held.fence
            take_over(held, lambda: next_holder_writes(vault, gold=2))
            slow.save()
    assert stored(vault).gold == 2


@ON_EACH
def test_a_refused_write_rolls_the_transaction_back(vault: Vault, database: Any) -> None:
    with pytest.raises(LockLost):
        with vault.locked() as held, transaction.atomic(using=database):
            Vault.objects.using(database).create(gold=55)
            held.backend.force_release(held.name, held.token)
            Vault.objects.using(database).filter(pk=vault.pk).update(fence=held.fence + 1)
            vault.save()
    assert Vault.objects.using(database).count() == 1


@ON_EACH
def test_two_blocks_in_a_transaction_share_the_hold_and_its_fence(
    vault: Vault, database: Any
) -> None:
    with transaction.atomic(using=database):
        with vault.locked() as first:
            vault.gold = 7
            vault.save()
        with vault.locked() as second:
            assert vault.gold == 7
            vault.gold = 8
            vault.save()
        assert first.fence == second.fence
    assert (stored(vault).gold, stored(vault).fence) == (8, second.fence)


@pytest.mark.parametrize("option", [{"shared": True}, {"limit": 2}])
def test_a_fence_cannot_order_several_holders(vault: Vault, option: Any) -> None:
    with vault.locked(**option):
        with pytest.raises(LockError, match="several holders at once"):
            vault.save()


def test_a_save_after_the_release_is_refused(vault: Vault) -> None:
    with vault.locked() as held:
        held.release()
        with pytest.raises(LockError, match="not held"):
            vault.save()


def test_a_hold_does_not_fence_another_row(vault: Vault) -> None:
    with vault.locked() as held:
        clone = copy.copy(vault)
        clone.pk, clone._state.adding = None, True
        clone.save()
        assert stored(clone).fence == 0
        vault.pk = Vault.objects.create(fence=held.fence + 1).pk
        vault.save()
        assert (stored(vault).gold, stored(vault).fence) == (100, held.fence + 1)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
def test_a_hold_does_not_fence_a_row_in_another_database(vault: Vault) -> None:
    with vault.locked():
        vault.save(using="postgresql")
    assert Vault.objects.using("postgresql").get().fence == 0


class Guarded(Vault):
    class Meta:
        proxy = True
        app_label = "bank"

    @locked_method("guard:{self.pk}")
    def guard(self) -> Any:
        self.save()
        return self.lock_held

    @locked_method()
    def outer(self) -> Any:
        inner = self.guard()
        self.save()
        return inner


def test_a_lock_with_another_name_fences_the_row(vault: Vault) -> None:
    guarded = Guarded.objects.get(pk=vault.pk)
    assert stored(vault).fence < guarded.guard().fence == stored(vault).fence


def test_the_outer_of_two_nested_locks_fences_the_row(vault: Vault) -> None:
    guarded = Guarded.objects.get(pk=vault.pk)
    inner = guarded.outer()
    assert inner.name == f"guard:{vault.pk}"
    assert 0 < stored(vault).fence < inner.fence
