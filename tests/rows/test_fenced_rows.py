"""Fenced querysets and ``bulk_update()``, which write all rows or none."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, models, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_redislock import LockLost, lock

from .bank.models import Account, Coin, Kiosk, Place, Restaurant, Seat, Vault
from .databases import ON_EACH
from .threads import next_holder_writes, take_over

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def database() -> str:
    return "default"


@pytest.fixture
def vaults(database: str) -> list[Vault]:
    return [Vault.objects.using(database).create(gold=gold) for gold in (1, 2, 3)]


def amounts(database: str) -> list[int]:
    return list(Vault.objects.using(database).order_by("pk").values_list("gold", flat=True))


def update_under(name: str, database: str, **values: object) -> None:
    with lock(name, wait=20) as held:
        Vault.objects.using(database).fenced(held).update(**values)


@ON_EACH
def test_many_rows_are_fenced_by_one_lock(vaults: Any, database: Any) -> None:
    rows = Vault.objects.using(database)
    with pytest.raises(LockLost, match="a later holder has written"):
        with lock("vaults") as held:
            assert rows.filter(gold__gt=1).fenced(held).update(gold=F("gold") * 10) == 2
            assert amounts(database) == [1, 20, 30]
            fences = rows.order_by("pk").values_list("fence", flat=True)
            assert list(fences) == [0, held.fence, held.fence]
            take_over(held, lambda: update_under("vaults", database, note="later"))
            rows.fenced(held).update(gold=0)
    assert amounts(database) == [1, 20, 30]


def test_an_update_cannot_set_the_fence(vaults: Any) -> None:
    """The statement that compares the fence would lower it."""
    with lock("vaults") as held, pytest.raises(ValueError, match="sets fence by itself"):
        Vault.objects.fenced(held).update(gold=0, fence=0)
    assert amounts("default") == [1, 2, 3]


@ON_EACH
def test_a_later_fence_of_one_row_refuses_all_writes(vaults: Any, database: Any) -> None:
    """If one of three is later, the two others are not written either."""
    rows = Vault.objects.using(database)
    with lock("vaults") as held:
        rows.filter(pk=vaults[2].pk).update(fence=held.fence + 1)
        before = set(rows.values_list("gold", "fence"))
        with pytest.raises(LockLost):
            rows.fenced(held).update(gold=0)
        assert set(rows.values_list("gold", "fence")) == before
        with pytest.raises(LockLost):
            rows.fenced(held).delete()
        assert set(rows.values_list("gold", "fence")) == before
        assert rows.filter(gold__lt=3).fenced(held).delete()[0] == 2
    assert amounts(database) == [3]


@ON_EACH
def test_a_refused_update_rolls_the_transaction_back(vaults: Any, database: Any) -> None:
    rows = Vault.objects.using(database)
    with lock("vaults") as held:
        rows.filter(pk=vaults[2].pk).update(fence=held.fence + 1)
        with pytest.raises(LockLost), transaction.atomic(using=database):
            rows.create(gold=55)
            rows.fenced(held).update(gold=0)
    assert amounts(database) == [1, 2, 3]


@ON_EACH
def test_each_row_is_fenced_by_its_own_lock(vaults: Any, database: Any) -> None:
    one, two, _ = vaults
    rows = Vault.objects.using(database)
    with rows.locked([two, one]) as held:
        assert rows.fenced(held).update(gold=F("gold") + 5) == 2
        assert amounts(database) == [6, 7, 3]
        for vault in held:
            assert rows.get(pk=vault.pk).fence == vault.lock_held.fence
        assert rows.fenced([]).update(gold=0) == 0
    with pytest.raises(LockLost) as lost:
        with rows.locked([one, two]) as held:
            take_over(two.lock_held, lambda: next_holder_writes(two, gold=22))
            rows.fenced(held).update(gold=0)
    assert lost.value.name == two.get_lock_name()
    assert amounts(database) == [6, 22, 3]


@ON_EACH
def test_deleted_rows_are_fenced_by_their_own_locks(vaults: Any, database: Any) -> None:
    rows = Vault.objects.using(database)
    Coin.objects.using(database).create(vault=vaults[0])
    with pytest.raises(LockLost):
        with rows.all().locked() as held:
            take_over(held[1].lock_held, lambda: next_holder_writes(held[1], gold=22))
            rows.fenced(held).delete()
    assert amounts(database) == [1, 22, 3]
    assert Coin.objects.using(database).count() == 1
    with rows.all().locked() as held:
        assert rows.fenced(held[:2]).delete()[0] == 3
    assert amounts(database) == [3]


@ON_EACH
@pytest.mark.parametrize("together", [1, 100])
def test_bulk_update_compares_the_fences_of_held_rows(
    vaults: Any, database: Any, together: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_redislock.rows.fenced_querysets.ROWS_AT_ONCE", together)
    one, two, three = vaults
    rows = Vault.objects.using(database)
    with rows.locked([one, two]):
        for vault in vaults:
            vault.gold = 7
        assert rows.bulk_update(vaults, ["gold"], batch_size=1) == 3
        fences = dict(rows.values_list("pk", "fence"))
        assert fences == {
            one.pk: one.lock_held.fence,
            two.pk: two.lock_held.fence,
            three.pk: 0,
        }
    with pytest.raises(LockLost):
        with rows.locked([one, two]):
            take_over(two.lock_held, lambda: next_holder_writes(two, gold=22))
            for vault in vaults:
                vault.gold = 0
            rows.bulk_update(vaults, ["gold"], batch_size=1)
    assert amounts(database) == [7, 22, 7]


def test_bulk_update_never_lowers_a_fence(vaults: Any) -> None:
    one, two, _ = vaults
    with Vault.objects.locked([one]):
        Vault.objects.bulk_update([one, two], ["gold", "fence"])
        assert Vault.objects.get(pk=one.pk).fence == one.lock_held.fence
        with pytest.raises(ValueError, match="bulk_update\\(\\) does not write the fence"):
            Vault.objects.bulk_update([one], ["fence"])
    two.fence = 10**6
    Vault.objects.bulk_update([two], ["gold", "fence"])
    assert Vault.objects.get(pk=two.pk).fence == 0


def test_bulk_create_never_lowers_a_fence(vaults: Any) -> None:
    one, two, _ = vaults
    conflicts = {"update_conflicts": True, "unique_fields": ["id"]}
    with one.locked() as held:
        one.save()
    stale = [Vault(pk=one.pk, gold=7), Vault(pk=two.pk, gold=7, fence=9)]
    Vault.objects.bulk_create(stale, update_fields=["gold", "fence"], **conflicts)
    rows = Vault.objects.filter(pk__in=[one.pk, two.pk]).order_by("pk")
    assert list(rows.values_list("gold", "fence")) == [(7, held.fence), (7, 0)]


def test_bulk_update_without_a_hold_or_a_fence_is_that_of_django(
    vaults: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(3):  # BEGIN, UPDATE, COMMIT
        Vault.objects.bulk_update(vaults, ["gold"])
    with django_assert_num_queries(0):
        assert Vault.objects.bulk_update([], ["gold"]) == 0
    with transaction.atomic():
        with pytest.raises(ValueError, match="must have a primary key"):
            Vault.objects.bulk_update([Vault()], ["gold"])
        assert Vault.objects.count() == 3, "the transaction goes on"
    account = Account.objects.create()
    with account.locked(), django_assert_num_queries(3):
        Account.objects.bulk_update([account], ["balance"])


@ON_EACH
def test_rows_that_match_only_after_the_claim_are_not_written(vaults: Any, database: Any) -> None:
    """Rows are claimed first. A row that changes after the claim belongs to another writer."""
    rows = Vault.objects.using(database)

    def insert_after_claim(execute: Any, sql: Any, params: Any, many: int, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and "gold" not in sql.partition("WHERE")[0]:
            rows.create(gold=9)
        return result

    with lock("vaults") as held, connections[database].execute_wrapper(insert_after_claim):
        assert rows.filter(gold__gt=0).fenced(held).update(gold=0) == 3
    assert amounts(database) == [0, 0, 0, 9]


@ON_EACH
@pytest.mark.parametrize("model", [Restaurant, Kiosk])
def test_rows_with_the_fence_of_a_parent_are_fenced(model: Any, database: Any) -> None:
    rows = model.objects.using(database)
    Place.objects.using(database).create()
    one, two = (rows.create(name="new") for _ in range(2))
    with rows.locked([one]) as held:
        assert rows.fenced(held).update(name="held") == 1
        assert rows.get(pk=one.pk).fence == one.lock_held.fence
    with rows.locked([two]) as held:
        held[0].name = "bulk"
        if model is Restaurant:  # Django's own cannot for a child with a key of its own
            assert rows.bulk_update(held, ["name"]) == 1
        else:
            held[0].save()
        assert rows.get(pk=two.pk).fence == held[0].lock_held.fence
    with pytest.raises(LockLost):
        with rows.all().locked() as held:
            rows.filter(pk=two.pk).update(fence=held[1].lock_held.fence + 1)
            rows.fenced(held).update(name="stale")
    assert list(rows.order_by("pk").values_list("name", flat=True)) == ["held", "bulk"]
    with pytest.raises(LockLost):
        with lock("places") as one_for_all:
            rows.filter(pk=two.pk).update(fence=one_for_all.fence + 1)
            rows.fenced(one_for_all).delete()
    assert rows.count() == 2


@ON_EACH
def test_rows_with_composite_primary_keys_are_fenced(database: Any) -> None:
    rows = Seat.objects.using(database)
    seats = [rows.create(row="A", number=number) for number in (1, 2)]
    with rows.locked(seats) as held:
        assert rows.fenced(held).update(guest="Ada") == 2
        seats[0].guest = "Bob"
        seats[0].save()
        seats[1].guest = "Cy"
        assert rows.bulk_update(seats, ["guest"]) == 2
        assert rows.fenced(held).delete()[0] == 2


def test_coroutines_write_fenced_rows(vaults: Any) -> None:
    async def scenario() -> None:
        async with lock("vaults") as held:
            assert await Vault.objects.fenced(held).aupdate(gold=7) == 3
            assert (await Vault.objects.filter(gold=7).fenced(held).adelete())[0] == 3

    async_to_sync(scenario)()


def test_without_fenced_no_query_is_added(vaults: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        Vault.objects.update(gold=1)
    with CaptureQueriesContext(connections["default"]) as djangos:
        models.QuerySet(Vault).filter(pk=vaults[0].pk).delete()
    with CaptureQueriesContext(connections["default"]) as ours:
        Vault.objects.filter(pk=vaults[1].pk).delete()
    assert len(ours) == len(djangos)


def test_a_hold_known_to_be_lost_writes_nothing(
    vaults: Any, django_assert_num_queries: Any
) -> None:
    with pytest.raises(LockLost):
        with lock("vaults") as held:
            assert held.backend.force_release(held.name, held.token)
            with pytest.raises(LockLost):
                held.extend()
            Vault.objects.fenced(held).update(gold=0)
    assert amounts("default") == [1, 2, 3]
