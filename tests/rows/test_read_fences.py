"""Reads of the fence in fenced writes, which are refused because they would see the new fence."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Case, Count, Exists, F, FilteredRelation, OuterRef, Q, Subquery, When
from django.db.models.functions import Upper

from django_redislock import lock

from .bank.models import Coin, Kiosk, Restaurant, Vault

pytestmark = pytest.mark.django_db(transaction=True)

ZERO = Vault.objects.filter(fence=0)
SAME = Vault.objects.filter(pk=OuterRef("pk"))


@pytest.fixture
def vaults() -> list[Vault]:
    return [Vault.objects.create(gold=gold) for gold in (1, 2, 3)]


@pytest.mark.parametrize(
    "condition",
    [
        Q(fence__lt=7),
        Q(gold__gt=0) & ~Q(fence=7),
        Q(gold__gt=F("fence")),
    ],
    ids=str,
)
def test_fenced_rows_cannot_be_filtered_by_their_fence(vaults: Any, condition: Q) -> None:
    """The fence is raised before the write, which would then not find the rows any more."""
    chosen = Vault.objects.filter(condition)
    with lock("vaults") as held:
        for write in (chosen.fenced(held).delete, lambda: chosen.fenced(held).update(gold=0)):
            with pytest.raises(ValueError, match="cannot be filtered by their fence"):
                write()
        assert set(Vault.objects.values_list("fence", flat=True)) == {0}
        pks = list(Vault.objects.filter(fence__lt=held.fence).values_list("pk", flat=True))
        assert Vault.objects.filter(pk__in=pks).fenced(held).update(gold=0) == 3


@pytest.mark.parametrize(
    "chosen",
    [
        Vault.objects.filter(pk__in=ZERO.values("pk")),
        Vault.objects.filter(pk__in=ZERO.values("pk").union(Vault.objects.values("pk"))),
        Vault.objects.filter(Exists(SAME.filter(fence=0))),
        Vault.objects.filter(~Exists(SAME.exclude(fence=0))),
        Vault.objects.alias(s=Subquery(SAME.values("fence")[:1])).filter(s=0),
        Vault.objects.alias(s=Subquery(SAME.values(f=F("fence") + 1)[:1])).filter(s=1),
        Vault.objects.exclude(coin__vault__fence__gt=3),
        Vault.objects.filter(gold__in=[F("fence") + 1, 2, 3]),
        Vault.objects.filter(pk__in=Vault.objects.order_by("-fence").values("pk")[:2]),
        Vault.objects.filter(pk__in=Vault.objects.order_by(F("fence").desc()).values("pk")[:2]),
        Vault.objects.alias(
            low=FilteredRelation("coin__vault", condition=Q(coin__vault__fence=0))
        ).filter(low=None),
        Kiosk.objects.filter(pk__in=Kiosk.objects.filter(fence=0).values("pk")),
    ],
)
def test_fenced_rows_cannot_be_filtered_by_a_fence_in_a_subquery(vaults: Any, chosen: Any) -> None:
    """Such a write would change nothing but the fence."""
    with lock("vaults") as held:
        for write in (chosen.fenced(held).delete, lambda: chosen.fenced(held).update(note="x")):
            with pytest.raises(ValueError, match="cannot be filtered by their fence"):
                write()
    assert set(Vault.objects.values_list("note", "fence")) == {("", 0)}


@pytest.mark.parametrize(
    "chosen",
    [
        Vault.objects.filter(gold=1),
        Vault.objects.filter(pk__in=Vault.objects.filter(gold=1).values("pk")),
        Vault.objects.filter(pk__in=Vault.objects.filter(gold=1)),
        Vault.objects.filter(Exists(SAME.filter(gold=1))),
        Vault.objects.filter(gold=1).annotate(x=F("fence")),
        Vault.objects.filter(pk__in=Vault.objects.filter(gold=1).alias(x=F("fence"))),
        Vault.objects.filter(pk__in=Vault.objects.order_by("gold").values("pk")[:1]),
        Vault.objects.filter(
            pk__in=Vault.objects.annotate(n=Count("coin")).filter(n=0, gold=1).values("pk")
        ),
        Vault.objects.filter(gold=1).exclude(pk__in=Coin.objects.values("vault")),
    ],
)
def test_fenced_rows_can_be_filtered_by_anything_else(vaults: Any, chosen: Any) -> None:
    with lock("vaults") as held:
        assert chosen.fenced(held).update(note="x") == 1
    assert set(Vault.objects.values_list("gold", "note")) == {(1, "x"), (2, ""), (3, "")}


@pytest.mark.parametrize(
    "value",
    [
        F("fence"),
        F("gold") + F("fence"),
        F("known"),
        Case(When(fence=0, then=1), default=F("gold")),
        Subquery(SAME.values("fence")[:1]),
        SAME.values("fence")[:1],
    ],
)
def test_an_update_cannot_copy_the_fence_to_another_field(vaults: Any, value: Any) -> None:
    """It would be the fence of this writer, not that of the one before."""
    rows = Vault.objects.annotate(known=F("fence"))
    with lock("vaults") as held, pytest.raises(ValueError, match="gold cannot be set from"):
        rows.fenced(held).update(note="x", gold=value)
    assert set(Vault.objects.values_list("gold", "note", "fence")) == {
        (1, "", 0),
        (2, "", 0),
        (3, "", 0),
    }


def test_bulk_update_cannot_copy_the_fence_to_another_field(vaults: Any) -> None:
    with Vault.objects.locked(vaults) as held:
        held[0].gold = F("fence")
        with pytest.raises(ValueError, match="gold cannot be set from"):
            Vault.objects.bulk_update(held, ["gold"])


def test_an_update_can_use_other_fields(vaults: Any) -> None:
    Restaurant.objects.create(name="inn")
    with lock("vaults") as held:
        assert Vault.objects.fenced(held).update(gold=F("gold") * 2) == 3
        assert Restaurant.objects.fenced(held).update(name=Upper("name")) == 1
    assert set(Vault.objects.values_list("gold", flat=True)) == {2, 4, 6}
    assert Restaurant.objects.get().name == "INN"
