"""Models that are deleted softly, by a method and a queryset with arguments of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.test.utils import isolate_apps

from django_redislock import LockLost
from django_redislock.rows.fencing import FenceField
from django_redislock.rows.lockable import LockableMixin
from django_redislock.rows.querysets import LockableManager, LockableQuerySet

from .bank.models import Vault
from .threads import next_holder_writes, stored, take_over

pytestmark = pytest.mark.django_db(transaction=True)


class SoftDeletion:
    """Takes what ``SafeDeleteModel`` of django-safedelete takes, and passes the rest to save()."""

    def delete(self, force: int | None = None, **kwargs: Any) -> Any:
        self.note = "deleted"
        if force:
            return super().delete()
        return self.save(**kwargs)


class SoftRows(models.QuerySet):
    def delete(self, force: int | None = None) -> Any:
        return super().delete() if force else self.update(note="deleted")


class Rows(LockableQuerySet, SoftRows):
    pass


@pytest.fixture
def row() -> Iterator[Any]:
    with isolate_apps("tests.rows.bank"):

        class SoftVault(LockableMixin, SoftDeletion, models.Model):
            gold = models.IntegerField(default=0)
            note = models.CharField(max_length=50, default="")
            fence = FenceField()

            objects = LockableManager.from_queryset(Rows)()

            class Meta:
                app_label = "bank"
                db_table = Vault._meta.db_table

            def __str__(self) -> str:
                return self.note

        yield SoftVault.objects.create()


def test_a_row_that_is_not_held_is_deleted_softly(row: Any) -> None:
    row.delete()
    assert stored(row).note == "deleted"
    row.delete(force=1)
    assert not Vault.objects.exists()


def test_arguments_of_the_mixin_may_be_given_by_position(row: Any) -> None:
    with row.locked():
        row.delete(1)
    assert not Vault.objects.exists()


def test_a_held_row_is_deleted_softly(row: Any) -> None:
    with row.locked() as held:
        row.delete(update_fields=["note"])
    assert (stored(row).note, stored(row).fence) == ("deleted", held.fence)


@pytest.mark.parametrize("arguments", [{}, {"force": 1}, {"using": "default"}], ids=str)
def test_a_stale_holder_cannot_delete_softly(row: Any, arguments: Any) -> None:
    with pytest.raises(LockLost, match="a later holder has written"):
        with row.locked() as held:
            take_over(held, lambda: next_holder_writes(row, gold=2))
            row.delete(**arguments)
    assert (stored(row).gold, stored(row).note) == (2, "")


def test_fenced_rows_are_deleted_softly(row: Any) -> None:
    rows = type(row).objects
    with row.locked() as held:
        assert rows.fenced(held).delete() == 1
        assert (stored(row).note, stored(row).fence) == ("deleted", held.fence)
        rows.fenced([row]).delete(force=1)
    assert not Vault.objects.exists()
