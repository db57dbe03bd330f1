"""Querysets of fenced models, which compare fences when they write in bulk."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models, transaction

from ..exceptions import LockError
from ..handles import Lock
from .fences import Fences, deletion
from .fencing import FencedModel, FenceField, fence_field, key_of
from .holds import in_writing_database

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FencedQuerySet"]

M_co = TypeVar("M_co", bound=FencedModel, covariant=True)

# How many rows one statement compares with their fences; it has a case for each of them.
ROWS_AT_ONCE = 100
# How many primary keys one statement may have; databases limit its parameters.
KEYS_AT_ONCE = 300


class FencedQuerySet(models.QuerySet[M_co]):
    """A queryset that compares fences when it writes in bulk, after ``fenced()``."""

    _fences: Fences | None = None

    if TYPE_CHECKING:  # or django-stubs declares one that does not fit LockableQuerySet's

        @classmethod
        def as_manager(cls) -> Any: ...

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
            held = {key_of(field, one): lock for one, lock in locks}
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

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        # Arguments are passed on as they are: a queryset for soft deletion may have some.
        if self._fences is None:
            return super().delete(*args, **kwargs)
        rows = self._unfenced()
        with deletion(rows.db):
            deleted: tuple[int, dict[str, int]] = rows._claimed(self._fences).delete(
                *args, **kwargs
            )
        return deleted

    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_update(
        self, objs: Iterable[M_co], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Like Django's, but compare instances whose rows are held with their fences.

        As in ``save()``, the fence in memory is not written.
        """
        field = fence_field(self.model)
        if field is not None:
            fields = [one for one in fields if one != field.name]
            if not fields:
                raise ValueError(
                    "bulk_update() does not write the fence, which locks raise. Name other fields."
                )
        if self._fences is not None or field is None:
            return super().bulk_update(objs, fields, batch_size=batch_size)
        rows = self._unfenced()
        held: list[M_co] = []
        rest: list[M_co] = []
        for one in objs:
            (rest if one._fencing_lock(rows.db) is None else held).append(one)
        if not held:
            return super().bulk_update(rest, fields, batch_size=batch_size)
        with transaction.atomic(using=rows.db, savepoint=False):
            written = super().bulk_update(rest, fields, batch_size=batch_size)
            for start in range(0, len(held), ROWS_AT_ONCE):
                some = held[start : start + ROWS_AT_ONCE]
                written += rows.fenced(some).bulk_update(some, fields, batch_size=batch_size)
        return written

    def update_or_create(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_fenced("update_or_create()")
        return super().update_or_create(*args, **kwargs)

    def bulk_create(
        self,
        objs: Iterable[M_co],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M_co]:
        """Like Django's, but the fence of a row that exists already is not among what it writes."""
        if update_conflicts:
            self._refuse_fenced("bulk_create(update_conflicts=True)")
        field = fence_field(self.model)
        if field is not None and update_fields is not None:
            update_fields = [one for one in update_fields if one != field.name]
        return super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )

    def _refuse_fenced(self, method: str) -> None:
        if self._fences is not None:
            raise TypeError(
                f"{method} compares no fences: after fenced(), write by update(), bulk_update() or "
                "delete()."
            )

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
        is_parents = fences.owner is not self.model._meta.concrete_model
        # With joins, the UPDATE would find its rows by a subquery. PostgreSQL does not repeat that
        # for a row which another transaction has changed meanwhile, and would lower its fence.
        if is_parents or rows.query.count_active_tables() > 1:
            table = fences.owner._base_manager.using(self.db)
            pks = list(rows.values_list(fences.pk, flat=True))
            for start in range(0, len(pks), KEYS_AT_ONCE):
                fences.claim(table.filter(pk__in=pks[start : start + KEYS_AT_ONCE]))
        else:
            fences.claim(rows)
        # Rows that have come to match in the meantime were not claimed.
        return rows.filter((fences.field.name, fences.mine()))


def _lock_of(instance: FencedModel, field: FenceField, database: str) -> Lock:
    if not isinstance(instance, field.model):
        raise TypeError(f"fenced() takes instances of {field.model.__name__}, not {instance!r}.")
    lock = instance._fencing_lock(database)
    if lock is None:
        raise LockError(f"The row of {instance!r} is not held: enter its locked() block first.")
    return lock
