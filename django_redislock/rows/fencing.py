"""Fenced models: a row with a fence refuses the writes of a stale holder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.core import checks
from django.db import models, router, transaction
from django.db.models.fields.reverse_related import ForeignObjectRel

from ..exceptions import LockError
from ..handles import Lock
from .fences import Fences, fence_of, overtaken
from .holds import RowHold, in_writing_database, pk_as_read

if TYPE_CHECKING:
    from typing_extensions import Self

    BigIntegerField = models.BigIntegerField[int, int]
    Model = models.Model
else:
    BigIntegerField = models.BigIntegerField
    Model = object  # a mixin must not be a model itself

__all__ = ["FenceField", "FencedModel", "FencedQuerySet", "fence_field"]

M = TypeVar("M", bound="FencedModel")

# How many rows one statement compares with their fences; it has a case for each of them.
ROWS_AT_ONCE = 100


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
                f"Write class {self.model.__name__}(LockableMixin, models.Model).",
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
        lock = self.fencing_lock(using)
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

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        field = fence_field(type(self))
        if field is None or not self._row_holds:
            return super().delete(using=using, keep_parents=keep_parents)
        using = using or router.db_for_write(type(self), instance=self)
        lock = self.fencing_lock(using)
        if lock is None:
            return super().delete(using=using, keep_parents=keep_parents)
        with transaction.atomic(using=using, savepoint=False):
            # Related rows are deleted before this one, and must not be if this one is refused.
            table = field.model._base_manager.using(using)
            Fences(field, lock).claim(table.filter(pk=_key(field, self)))
            return super().delete(using=using, keep_parents=keep_parents)

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

    def fencing_lock(self, using: str | None) -> Lock | None:
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


class FencedQuerySet(models.QuerySet[M]):
    """A queryset that compares fences when it writes in bulk, after ``fenced()``."""

    _fences: Fences | None = None

    def fenced(self, held: Lock | Iterable[FencedModel]) -> Self:
        """Return these rows as a queryset whose ``update()`` and ``delete()`` write all or none.

        ``held`` is the lock that all writers of the rows take, or instances whose rows are held. In
        the second case only their rows are written, each compared with the fence of its own lock.

        A write raises ``LockLost`` and changes nothing if a later holder has written one of the
        rows, or if a lock is known to be lost.
        """
        field = fence_field(self.model)
        if field is None:
            raise TypeError(f"{self.model.__name__} has no FenceField.")
        if not isinstance(held, (Lock, Iterable)):
            raise TypeError(
                "fenced() takes the handle of a lock, or a list of instances whose rows are held, "
                f"not {held!r}."
            )
        if not isinstance(held, Lock):
            database = in_writing_database(self).db
            locks = [(one, _lock_of(one, field, database)) for one in held]
            held = {_key(field, one): lock for one, lock in locks}
        clone: Self = self.all()
        clone._fences = Fences(field, held)
        return clone

    def update(self, **kwargs: Any) -> int:
        if self._fences is None:
            return super().update(**kwargs)
        name = self._fences.field.name
        if name in kwargs:
            raise ValueError(f"After fenced(), update() sets {name} by itself. Leave it out.")
        rows = self._unfenced()
        self._fences.refuse_values(rows, kwargs)
        with transaction.atomic(using=rows.db, savepoint=False):
            written: int = rows._claimed(self._fences).update(**kwargs)
        return written

    def delete(self) -> tuple[int, dict[str, int]]:
        if self._fences is None:
            return super().delete()
        rows = self._unfenced()
        with transaction.atomic(using=rows.db, savepoint=False):
            deleted: tuple[int, dict[str, int]] = rows._claimed(self._fences).delete()
        return deleted

    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_update(
        self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Like Django's, but compare instances whose rows are held with their fences.

        As in ``save()``, the fence in memory is not written.
        """
        field = fence_field(self.model)
        if field is not None:
            fields = [one for one in fields if one not in (field.name, field.attname)]
            if not fields:
                raise ValueError(
                    "bulk_update() does not write the fence, which locks raise. Name other fields."
                )
        if self._fences is not None or field is None:
            return super().bulk_update(objs, fields, batch_size=batch_size)
        rows = self._unfenced()
        held: list[M] = []
        rest: list[M] = []
        for one in objs:
            (rest if one.fencing_lock(rows.db) is None else held).append(one)
        if not held:
            return super().bulk_update(rest, fields, batch_size=batch_size)
        with transaction.atomic(using=rows.db, savepoint=False):
            written = super().bulk_update(rest, fields, batch_size=batch_size)
            for start in range(0, len(held), ROWS_AT_ONCE):
                some = held[start : start + ROWS_AT_ONCE]
                written += rows.fenced(some).bulk_update(some, fields, batch_size=batch_size)
        return written

    def _clone(self) -> Any:
        clone: Any = super()._clone()  # type: ignore[misc]
        clone._fences = self._fences
        return clone

    def _merge_sanity_check(self, other: Any) -> None:
        super()._merge_sanity_check(other)  # type: ignore[misc]
        if self._fences is not None or getattr(other, "_fences", None) is not None:
            raise TypeError("Combine the querysets first: (one & other).fenced(...).")

    def _unfenced(self) -> Any:
        """Return the same rows without fences, in the database where they are written."""
        rows = in_writing_database(self)
        rows._fences = None
        return rows

    def _claimed(self, fences: Fences) -> Any:
        """Raise the fences, in an open transaction, and return the rows for which this was done."""
        fences.refuse_filter(self)
        rows = fences.of_these(self)
        table = rows
        if fences.owner is not self.model._meta.concrete_model:
            pks = rows.values_list(fences.pk, flat=True)
            table = fences.owner._base_manager.using(self.db).filter(pk__in=list(pks))
        fences.claim(table)
        # Rows that have come to match in the meantime were not claimed.
        return rows.filter((fences.field.name, fences.mine()))


def _key(field: FenceField, instance: FencedModel) -> Any:
    """Return the primary key of the instance's row in the table that has the fence."""
    return pk_as_read(field.model, instance._get_pk_val(field.model._meta))


def _lock_of(instance: FencedModel, field: FenceField, database: str) -> Lock:
    if not isinstance(instance, field.model):
        raise TypeError(f"fenced() takes instances of {field.model.__name__}, not {instance!r}.")
    lock = instance.fencing_lock(database)
    if lock is None:
        raise LockError(f"The row of {instance!r} is not held: enter its locked() block first.")
    return lock
