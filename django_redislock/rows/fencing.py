"""Fenced models: a row with a fence refuses the writes of a stale holder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import connections, models
from django.db.models.fields.reverse_related import ForeignObjectRel

from ..handles import Lock
from .fences import Fences, deletion, fence_of, overtaken
from .holds import RowHold, pk_as_read, writing_database

if TYPE_CHECKING:
    BigIntegerField = models.BigIntegerField[int, int]
    Model = models.Model
else:
    BigIntegerField = models.BigIntegerField
    Model = object  # a mixin must not be a model itself

__all__ = ["FenceField", "FencedModel", "fence_field", "key_of"]


class FenceField(BigIntegerField):
    """The highest fence of a lock under which this row was written; 0 before the first.

    It is only ever raised: ``save()`` does not write the value in memory. The column has a default,
    so that processes with older code can go on inserting rows.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"default": 0, "db_default": 0, "editable": False, **kwargs})

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        # Migrations contain the public path, which will not change.
        return name, "django_redislock.FenceField", args, kwargs

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_use()]

    def _check_use(self) -> Iterable[checks.CheckMessage]:
        if self.null or self.unique:
            yield self._error(
                "A fence field cannot be null, unique or a primary key.",
                "Nothing is greater than NULL, and two rows may have the same fence.",
            )
        if not issubclass(self.model, FencedModel):
            yield self._error(
                "A fence field needs a model with LockableMixin.",
                f"Write class {self.model.__name__}(LockableMixin, models.Model). If a package has "
                "made this model from another one, to keep its history for example, tell the "
                "package to leave the field out.",
            )

    def _error(self, message: str, hint: str) -> checks.Error:
        return checks.Error(message, hint=hint, obj=self, id="locks.E003")


def _fence_fields(model: type[models.Model]) -> Iterator[FenceField]:
    # Not noted on the class of each field: a child may remove the field of an abstract parent.
    return (one for one in model._meta.concrete_fields if isinstance(one, FenceField))


def fence_field(model: type[models.Model]) -> FenceField | None:
    """Return the fence field of a model, or None if its rows have no fence."""
    return next(_fence_fields(model), None)


class FencedModel(Model):
    """A model whose rows refuse a stale holder, if it has a fence field.

    While a row is held, the statements that write its instance also compare the fence. Without a
    hold, or without a fence field, ``save()`` and ``delete()`` are Django's own.
    """

    _row_holds: tuple[RowHold, ...] = ()

    def _do_update(
        self, base_qs: Any, using: str | None, pk_val: Any, values: Any, *args: Any, **kwargs: Any
    ) -> Any:
        # Django calls this for each table of a model, one of which has the fence.
        field = fence_field(type(self))
        if field is None or base_qs.model._meta.concrete_model is not field.model:
            return super()._do_update(base_qs, using, pk_val, values, *args, **kwargs)
        values = [value for value in values if value[0] != field]
        lock = self._fencing_lock(using)
        if lock is None:
            return super()._do_update(base_qs, using, pk_val, values, *args, **kwargs)
        fence = fence_of(lock)
        mine = base_qs.filter(**{f"{field.name}__lte": fence})
        values.append((field, None, fence))
        updated = super()._do_update(mine, using, pk_val, values, *args, **kwargs)
        if not updated and base_qs.filter(pk=pk_val).exists():
            raise overtaken(lock)
        setattr(self, field.name, fence)
        return updated

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        # Arguments are passed on as they are: a mixin for soft deletion may have others.
        field = fence_field(type(self))
        given: Any = kwargs.get("using") or next(iter(args), None)
        using = given if given in [*connections] else writing_database(self)
        if field is None or (lock := self._fencing_lock(using)) is None:
            return super().delete(*args, **kwargs)
        with deletion(using):
            # Related rows are deleted before this one, and must not be if this one is refused.
            table = field.model._base_manager.using(using)
            Fences(field, lock).claim(table.filter(pk=key_of(field, self)))
            return super().delete(*args, **kwargs)

    delete.alters_data = True  # type: ignore[attr-defined]

    @classmethod
    def check(cls, **kwargs: Any) -> list[checks.CheckMessage]:
        errors = super().check(**kwargs)
        fences = [one.name for one in _fence_fields(cls)]
        if len(fences) > 1:
            errors.append(
                checks.Error(
                    f"A model can have one fence field, and this has {', '.join(fences)}.",
                    hint="A row has one lock. The fields of parent models count.",
                    obj=cls,
                    id="locks.E003",
                )
            )
        return [*errors, *_hidden(cls)]

    def _fencing_lock(self, using: str | None) -> Lock | None:
        """Return the lock under which the row in this database is held.

        If blocks are nested, it is the lock of the outermost: the fences of different names cannot
        be compared, so all writes have to use the same.
        """
        if not self._row_holds:
            return None
        pk = pk_as_read(type(self), self.pk)
        for hold in self._row_holds:
            if (hold.pk, hold.database) == (pk, using) and (lock := hold.lock) is not None:
                return lock
        return None


def _hidden(model: type[FencedModel]) -> Iterator[checks.CheckMessage]:
    """Yield an error for each field or reverse relation that hides an attribute of ours."""
    ours = {
        name
        for one in model.__mro__
        if one.__module__.partition(".")[0] == "django_redislock"
        for name in vars(one).keys() - vars(models.Model).keys()
        if not name.startswith("_")
    }
    for field in model._meta.get_fields():
        name = field.get_accessor_name() if isinstance(field, ForeignObjectRel) else field.name
        if name in ours:
            yield checks.Error(
                f"{name!r} hides the attribute of LockableMixin by which the row is locked.",
                hint="Rename it; the db_column of a field keeps its column.",
                obj=model,
                id="locks.E008",
            )


def key_of(field: FenceField, instance: FencedModel) -> Any:
    """Return the primary key of the instance's row in the table that has the fence."""
    return pk_as_read(field.model, instance._get_pk_val(field.model._meta))
