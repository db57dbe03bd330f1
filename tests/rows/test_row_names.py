"""Names of rows: one name for a row, and different names for different rows."""

# ruff: noqa: DJ008 - the models of single tests are never shown

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import models
from django.test.utils import isolate_apps

from django_redislock import LockNotAcquired
from django_redislock.rows.lockable import LockableMixin

from .bank.models import (
    Account,
    Branch,
    Card,
    Kiosk,
    Moment,
    Page,
    Place,
    Price,
    Restaurant,
    Savings,
    Seat,
    Shop,
    Ticket,
)
from .threads import elsewhere


def test_a_row_is_named_after_its_model_and_primary_key() -> None:
    assert Account(pk=5).get_lock_name() == "bank.account:5"
    assert Account(pk="5").get_lock_name() == "bank.account:5"


def test_a_proxy_has_the_name_of_its_model() -> None:
    assert Savings(pk=5).get_lock_name() == Account(pk=5).get_lock_name()


@pytest.mark.django_db
def test_a_parent_and_its_child_have_one_name() -> None:
    restaurant = Restaurant.objects.create()
    assert restaurant.get_lock_name() == f"bank.place:{restaurant.pk}"
    assert Place.objects.get(pk=restaurant.pk).get_lock_name() == restaurant.get_lock_name()


@pytest.mark.django_db
def test_a_child_with_its_own_key_has_the_name_of_its_parent() -> None:
    Place.objects.create()
    kiosk = Kiosk.objects.create()
    assert kiosk.pk != kiosk.place_id
    assert kiosk.get_lock_name() == f"bank.place:{kiosk.place_id}"


@pytest.mark.django_db
def test_a_child_is_named_after_a_parent_without_the_mixin() -> None:
    shop = Shop.objects.create()
    assert shop.get_lock_name() == f"bank.building:{shop.pk}"


@isolate_apps("tests.rows.bank")
def test_a_grandchild_is_named_after_the_topmost_parent() -> None:
    class Diner(Restaurant):
        class Meta:
            app_label = "bank"

    assert Diner(pk=5).get_lock_name() == "bank.place:5"


@pytest.mark.django_db(transaction=True)
def test_parent_and_child_exclude_each_other() -> None:
    restaurant = Restaurant.objects.create()
    place = Place.objects.get(pk=restaurant.pk)
    with restaurant.locked(), pytest.raises(LockNotAcquired):
        elsewhere(lambda: place.locked(wait=0).__enter__())


def test_equal_uuids_have_one_name() -> None:
    text = "12345678-1234-5678-1234-567812345678"
    assert Ticket(id=UUID(text)).get_lock_name() == f"bank.ticket:{text}"
    assert Ticket(id=text.upper().replace("-", "")).get_lock_name() == f"bank.ticket:{text}"


def test_composite_keys_do_not_collide() -> None:
    assert Seat(row="A", number=7).get_lock_name() == "bank.seat:A:7"
    names = {
        Seat(row=row, number=number).get_lock_name()
        for row, number in [("a", 12), ("a:1", 2), ("a%3A1", 2), ("a:", 12), ("", 12), (":", 12)]
    }
    assert len(names) == 6


def test_string_keys_do_not_collide() -> None:
    paths = ["a", "a:b", "a%3Ab", "{a}", "a@b", "@archive:a", "a\n", "a%0A", "ä", " "]
    names = {Page(path=path).get_lock_name() for path in paths}
    assert len(names) == len(paths)
    assert all(name.isprintable() for name in names)


def test_equal_keys_in_different_forms_have_one_name() -> None:
    there = timezone(timedelta(hours=5))
    noon = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
    assert Moment(at=noon).get_lock_name() == Moment(at=noon.astimezone(there)).get_lock_name()
    assert (
        Price(amount=Decimal("1.5")).get_lock_name()
        == Price(amount=Decimal("1.50")).get_lock_name()
    )


@isolate_apps("tests.rows.bank")
def test_a_numeric_key_is_written_in_digits() -> None:
    assert Price(amount=Decimal("100.00")).get_lock_name().endswith(":100")


def test_binary_keys_are_written_in_hexadecimal_digits() -> None:
    class Blob(LockableMixin, models.Model):
        digest = models.BinaryField(primary_key=True)

        class Meta:
            app_label = "bank"

    assert Blob(digest=b"\x00:").get_lock_name() == "bank.blob:003a"
    assert Blob(digest=memoryview(b"\x00:")).get_lock_name() == "bank.blob:003a"


def test_the_same_key_in_another_database_is_another_row() -> None:
    account = Account(pk=5)
    account._state.db = "postgresql"
    assert account.get_lock_name() == "bank.account@postgresql:5"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True, databases=["default", "postgresql"])
def test_rows_of_two_databases_with_the_same_key_are_held_together() -> None:
    here = Account.objects.create()
    there = Account.objects.using("postgresql").create(pk=here.pk)
    with Account.objects.locked([here, there, here]) as rows:
        held = [row.lock_held.name for row in rows]
        assert held == [row.get_lock_name() for row in (here, there, here)]


def test_a_template_makes_the_name() -> None:
    assert Card(number="a b:c").get_lock_name() == "card:a b%3Ac"
    with pytest.raises(ValueError, match=r"\{self.number\} is None"):
        Card(number=None).get_lock_name()


@isolate_apps("tests.rows.bank")
def test_a_method_makes_the_name() -> None:
    class Own(LockableMixin, models.Model):
        class Meta:
            app_label = "bank"

        def get_lock_name(self) -> str:
            return f"own:{self.pk}"

    assert Own(pk=5).get_lock_name() == "own:5"


@pytest.mark.parametrize(
    ("lock_name", "missing"),
    [
        ("door:{self.code}", "code"),
        ("door:{self.pk}:{self.landlord.name}", "landlord"),
        ("door:{self.number}:{self.owner.name}:{self.owner_id}:{self.pk}", None),
        ("door:{self.full}:{self.kind}:{self.later}:{self.key.pk}", None),
        ("door:{self!s}", None),
        (None, None),
    ],
)
@isolate_apps("tests.rows.bank")
def test_a_template_with_missing_attributes_is_a_warning(
    lock_name: str | None, missing: str | None
) -> None:
    name = lock_name

    class Door(LockableMixin, models.Model):
        lock_name = name
        kind = "door"
        later = None
        number = models.CharField(max_length=9)
        owner = models.ForeignKey(Branch, on_delete=models.CASCADE, related_name="+")

        class Meta:
            app_label = "bank"

        @property
        def full(self) -> str:
            return f"no. {self.number}"

    class Key(models.Model):
        door = models.OneToOneField(Door, on_delete=models.CASCADE)

        class Meta:
            app_label = "bank"

    messages = [one for one in Door.check() if one.id == "locks.W009"]
    assert [one.msg.rpartition(" ")[2] for one in messages] == ([f"{missing!r}."] * bool(missing))


@isolate_apps("tests.rows.bank")
def test_a_template_may_use_dynamic_attributes() -> None:
    class Door(LockableMixin, models.Model):
        lock_name = "door:{self.anything}"

        class Meta:
            app_label = "bank"

        def __getattr__(self, name: str) -> str:
            return name

    assert Door.check() == []
