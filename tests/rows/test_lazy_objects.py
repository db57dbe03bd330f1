"""Lazy objects in place of instances, such as ``request.user`` with a user model that is locked."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.functional import SimpleLazyObject

from .bank.models import Account, Vault

pytestmark = pytest.mark.django_db


class ByModel:
    """A router, which looks at the model as most do."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        assert issubclass(model, Vault)
        return "default"


def test_the_row_of_a_lazy_object_is_held_and_fenced(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [ByModel()]
    vault = Vault.objects.create()
    lazy: Any = SimpleLazyObject(lambda: Vault.objects.get(pk=vault.pk))
    with lazy.locked() as held:
        lazy.save()
        assert lazy.fence == held.fence
    with Vault.objects.locked([lazy]) as (row,):
        assert row is lazy
        assert lazy.lock_held is not None
        assert Vault.objects.fenced([lazy]).update(gold=7) == 1
        lazy.gold = 8
        assert Vault.objects.bulk_update([lazy], ["gold"]) == 1
    vault.refresh_from_db()
    assert vault.gold == 8


def test_an_error_names_the_model_of_a_lazy_object() -> None:
    lazy: Any = SimpleLazyObject(Vault)
    with pytest.raises(ValueError, match="This Vault has no row to lock"):
        Vault.objects.locked([lazy]).__enter__()
    with pytest.raises(TypeError, match="is not a row of Account"):
        Account.objects.locked([lazy]).__enter__()
