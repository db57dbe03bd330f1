"""Fences in the table of a parent or of a child."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import LockLost

from .bank.models import Kiosk, Place, Restaurant, Shop, Tent
from .databases import ON_EACH
from .threads import next_holder_writes, stored, take_over

pytestmark = pytest.mark.django_db(transaction=True)


@ON_EACH
@pytest.mark.parametrize("model", [Restaurant, Kiosk, Shop])
def test_a_fence_in_either_table_refuses_both(model: Any, database: Any) -> None:
    column = {Restaurant: "tables", Kiosk: "number", Shop: "stock"}[model]
    row = model.objects.using(database).create(name="new")
    with row.locked() as held:
        row.save(update_fields=[column] if model is not Kiosk else ["name"])
        assert stored(row).fence == held.fence == row.fence
    with pytest.raises(LockLost):
        with row.locked() as held:
            take_over(held, lambda: next_holder_writes(row, name="later"))
            row.name = "stale"
            row.save()
    assert stored(row).name == "later"
    with pytest.raises(LockLost):
        with row.locked() as held:
            take_over(held, lambda: next_holder_writes(row, name="last"))
            row.delete()
    assert stored(row).name == "last"
    with row.locked():
        row.delete()
    assert not model.objects.using(database).exists()
    assert not Place.objects.using(database).exists()


def test_a_child_with_update_fields_of_its_own_table_is_refused_too() -> None:
    row = Restaurant.objects.create()
    with pytest.raises(LockLost):
        with row.locked() as held:
            take_over(held, lambda: next_holder_writes(row, tables=2))
            row.tables = 1
            row.save(update_fields=["tables"])
    assert stored(row).tables == 2


def test_a_model_that_removes_the_fence_of_its_abstract_parent_has_none() -> None:
    row = Tent.objects.create(poles=1)
    with row.locked() as held:
        row.poles = 2
        row.save()
        row.poles = 3
        assert Tent.objects.bulk_update([row], ["poles"]) == 1
        with pytest.raises(TypeError, match="Tent has no FenceField"):
            Tent.objects.fenced(held)
        assert stored(row).poles == 3
        assert row.delete()[0] == 1
    assert not Tent.objects.exists()
