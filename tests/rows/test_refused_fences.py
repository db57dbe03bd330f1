"""Uses of ``fenced()`` that are refused, and deletions that the database's relations forbid."""

from __future__ import annotations

import operator
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import models, transaction
from django.db.models import ProtectedError

from django_redislock import LockError, lock
from django_redislock.rows.querysets import LockableQuerySet

from .bank.models import Account, Branch, Card, Guard, Vault
from .threads import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vaults() -> list[Vault]:
    return [Vault.objects.create(gold=gold) for gold in (1, 2, 3)]


def amounts() -> list[int]:
    return list(Vault.objects.order_by("pk").values_list("gold", flat=True))


@pytest.mark.parametrize("combine", [operator.and_, operator.or_, operator.xor])
def test_a_fenced_queryset_is_combined_with_no_other(vaults: Any, combine: Any) -> None:
    """Django keeps what belongs to the left one only."""
    plain = Vault.objects.filter(gold=1)
    with lock("vaults") as held:
        fenced = Vault.objects.fenced(held)
        for left, right in ((plain, fenced), (fenced, plain)):
            with pytest.raises(TypeError, match="Combine the querysets first"):
                combine(left, right)
        assert combine(plain, Vault.objects.all()).fenced(held).update(gold=4)


def test_writes_that_compare_no_fences_are_refused(vaults: Any) -> None:
    vault = Vault(pk=vaults[0].pk)
    conflicts = {"update_conflicts": True, "unique_fields": ["pk"], "update_fields": ["gold"]}
    with lock("vaults") as held:
        rows = Vault.objects.fenced(held)
        for write in (
            lambda: rows.update_or_create(pk=vault.pk, defaults={"gold": 0}),
            lambda: async_to_sync(rows.aupdate_or_create)(pk=vault.pk, defaults={"gold": 0}),
            lambda: rows.bulk_create([vault], **conflicts),
            lambda: async_to_sync(rows.abulk_create)([vault], **conflicts),
        ):
            with pytest.raises(TypeError, match="compares no fences: after fenced.., write by upd"):
                write()
        assert amounts() == [1, 2, 3]
        Vault.objects.update_or_create(pk=vault.pk, defaults={"gold": 4})
        rows.bulk_create([Vault(gold=5)])
    assert amounts() == [4, 2, 3, 5]


def test_a_transaction_may_go_on_after_a_protected_row_was_not_deleted(vaults: Any) -> None:
    """As without a fence: Django looks for protected rows before it writes."""
    Guard.objects.create(vault=vaults[0])
    with transaction.atomic(), vaults[0].locked() as held:
        for delete in (vaults[0].delete, Vault.objects.fenced(held).delete):
            with pytest.raises(ProtectedError):
                delete()
            vaults[0].gold += 3
            vaults[0].save()
    assert amounts() == [7, 2, 3]


def test_wrong_arguments_of_fenced_are_refused(vaults: Any) -> None:
    with lock("vaults") as held, pytest.raises(TypeError, match="Account has no FenceField"):
        Account.objects.fenced(held)
    for wrong in (7, vaults[0]):
        with pytest.raises(TypeError, match="fenced.. takes the handle of a lock, or a list of"):
            Vault.objects.fenced(wrong)
    with pytest.raises(LockError, match="is not held: enter its locked"):
        Vault.objects.fenced(vaults)
    # The first card has the primary key of a vault, and a lock of another name.
    for stranger in (Card.objects.create(pk=vaults[0].pk), Branch.objects.create(), vaults[0].pk):
        block = stranger.locked() if isinstance(stranger, Card) else nullcontext()
        with block, pytest.raises(TypeError, match=r"fenced.. takes instances of Vault, not"):
            Vault.objects.fenced([stranger])
    with vaults[0].locked(), pytest.raises(LockError, match="is not held"):
        elsewhere(lambda: Vault.objects.using("postgresql").fenced(vaults[:1]))
    with lock("vaults", limit=2) as held, pytest.raises(LockError, match="several holders"):
        Vault.objects.fenced(held).update(gold=0)
    for manager in (Vault.objects, models.Manager.from_queryset(LockableQuerySet)()):
        assert not hasattr(manager, "delete")
