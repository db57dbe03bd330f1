"""Fence field: its checks, its migrations, its column."""

# ruff: noqa: DJ008 - the models of single tests are never shown

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connections, migrations, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.test.utils import isolate_apps

import django_redislock
from django_redislock.rows.fencing import FenceField, fence_field
from django_redislock.rows.lockable import LockableMixin

from .bank.models import Place, Shop, Vault
from .databases import ON_EACH


def ids(model: type[models.Model]) -> list[str]:
    return [message.id for message in model.check() if message.id.startswith("locks")]


def test_the_models_of_the_tests_pass_the_checks() -> None:
    assert [name for model in apps.get_app_config("bank").get_models() for name in ids(model)] == []


@isolate_apps("tests.rows.bank")
def test_a_row_may_have_only_one_fence() -> None:
    class Two(LockableMixin, models.Model):
        one = FenceField()
        other = FenceField()

        class Meta:
            app_label = "bank"

    class Child(Place):
        own = FenceField()

        class Meta:
            app_label = "bank"

    class Other(LockableMixin, models.Model):
        number = models.AutoField(primary_key=True)
        other = FenceField()

        class Meta:
            app_label = "bank"

    class Both(Place, Other):
        class Meta:
            app_label = "bank"

    assert ids(Two) == ids(Child) == ids(Both) == ["locks.E003"]
    assert ids(Other) == ids(Place) == ids(Shop) == []


@isolate_apps("tests.rows.bank")
def test_a_fence_requires_a_lockable_model() -> None:
    class Plain(models.Model):
        fence = FenceField()

        class Meta:
            app_label = "bank"

    (message,) = (m for m in Plain.check() if m.id == "locks.E003")
    assert "needs a model with LockableMixin" in message.msg
    assert "class Plain(LockableMixin, models.Model)" in message.hint
    assert (
        "to keep its history for example, tell the package to leave the field out" in message.hint
    )


@pytest.mark.parametrize("option", [{"null": True}, {"unique": True}])
@isolate_apps("tests.rows.bank")
def test_a_fence_may_be_neither_null_nor_unique(option: Any) -> None:
    class Odd(LockableMixin, models.Model):
        fence = FenceField(**option)

        class Meta:
            app_label = "bank"

    assert ids(Odd) == ["locks.E003"]


@pytest.mark.parametrize("name", ["locked", "lock_name", "lock_held", "get_lock_name"])
@isolate_apps("tests.rows.bank")
def test_a_field_that_hides_an_attribute_of_the_mixin_is_refused(name: str) -> None:
    class Meta:
        app_label = "bank"

    attributes = {"__module__": __name__, "Meta": Meta, name: models.CharField(max_length=9)}
    door: Any = type("Door", (LockableMixin, models.Model), attributes)
    (message,) = door.check()
    assert message.id == "locks.E008"
    assert f"{name!r} hides" in message.msg


@isolate_apps("tests.rows.bank")
def test_a_reverse_relation_that_hides_an_attribute_is_refused() -> None:
    class Door(LockableMixin, models.Model):
        name = models.CharField(max_length=9)

        class Meta:
            app_label = "bank"

    class Key(models.Model):
        door = models.ForeignKey(Door, on_delete=models.CASCADE, related_name="locked")

        class Meta:
            app_label = "bank"

    assert ids(Door) == ["locks.E008"]
    assert ids(Key) == []


@isolate_apps("tests.rows.bank")
def test_each_child_of_an_abstract_model_has_its_own_fence() -> None:
    class Base(LockableMixin, models.Model):
        fence = FenceField()

        class Meta:
            abstract = True
            app_label = "bank"

    class One(Base):
        class Meta:
            app_label = "bank"

    class Other(Base):
        class Meta:
            app_label = "bank"

    assert ids(One) == ids(Other) == []
    for model in (One, Other):
        field = fence_field(model)
        assert field is not None
        assert field.model is model


def test_a_fence_is_not_in_forms_and_begins_at_zero() -> None:
    field = Vault._meta.get_field("fence")
    assert not field.editable
    assert Vault().fence == 0


def test_a_migration_imports_the_field_by_its_public_path() -> None:
    text, imports = MigrationWriter.serialize(FenceField())
    assert text.startswith("django_redislock.FenceField(")
    assert imports == {"import django_redislock"}
    assert django_redislock.FenceField is FenceField


def test_a_migration_imports_the_mixin_by_its_public_path() -> None:
    mixin, _ = ModelState.from_model(Vault).bases
    assert MigrationWriter.serialize(mixin) == (
        "django_redislock.LockableMixin",
        {"import django_redislock"},
    )
    assert django_redislock.LockableMixin is LockableMixin is mixin


@ON_EACH
def test_a_fence_added_to_a_table_begins_at_zero(database: Any) -> None:
    """An older release, which does not know the column, may go on inserting."""
    connection = connections[database]
    without, with_it = ProjectState(), ProjectState()
    table = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=9)),
    ]
    without.add_model(ModelState("bank", "Grown", list(table)))
    operation = migrations.AddField("Grown", "fence", FenceField())
    with_it.add_model(ModelState("bank", "Grown", list(table)))
    operation.state_forwards("bank", with_it)
    old, new = (state.apps.get_model("bank", "Grown") for state in (without, with_it))
    with connection.schema_editor() as editor:
        editor.create_model(old)
    try:
        old.objects.using(database).create(name="before")
        with connection.schema_editor() as editor:
            operation.database_forwards("bank", editor, without, with_it)
        old.objects.using(database).create(name="after")
        assert list(new.objects.using(database).values_list("fence", flat=True)) == [0, 0]
        with connection.schema_editor() as editor:
            operation.database_backwards("bank", editor, with_it, without)
        assert old.objects.using(database).count() == 2
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(old)
