"""Querysets and managers of rows that can be locked together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import models

from ..exceptions import LockError
from ..handles import Lock, MultiLock
from ..options import RowOptions, check_options
from ..twins import Call, both
from .fenced_querysets import FencedQuerySet
from .fencing import FencedModel
from .holds import (
    Refresh,
    RowBlock,
    RowHold,
    check_saved,
    in_writing_database,
    pk_as_read,
    writing_database,
)
from .lockable import LockableMixin, lock_of, show_caller

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LockableManager", "LockableQuerySet"]

M = TypeVar("M", bound="LockableMixin")
M_co = TypeVar("M_co", bound="LockableMixin", covariant=True)

# Not None, which a caller may pass by mistake: it would lock every row of the table.
_OWN_ROWS: Any = ...


class LockableQuerySet(FencedQuerySet[M_co]):
    """A queryset whose rows can be locked together, and written with a fence."""

    if TYPE_CHECKING:  # lets type checkers infer the class of the rows from the model

        def __init__(
            self,
            model: type[M_co] | None = None,
            query: Any = None,
            using: str | None = None,
            hints: Any = None,
        ) -> None: ...

    def locked(
        self,
        rows: models.QuerySet[M_co] | Iterable[Any] = _OWN_ROWS,
        *,
        refresh: Refresh = True,
        **options: Unpack[RowOptions],
    ) -> LockedRows[M_co]:
        """Return a block, ``with`` or ``async with``, that holds the rows; ``as`` gets a list.

        ``rows``: primary keys or instances, in any mixture, which are returned in this order; or a
        queryset. By default the rows of this queryset. Given instances are read again as
        ``refresh`` says; other rows are fetched once they are held. The locks are taken in a fixed
        order, so that blocks never wait for each other; ``wait`` is for all together.

        Entering raises as ``LockableMixin.locked()`` does, but ``DoesNotExist`` only for rows that
        were given. A row that no longer matches the queryset once it is held is left out.
        """
        show_caller(options)
        if rows is _OWN_ROWS:
            rows = self
        if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
            raise TypeError(
                f"locked() takes a list of primary keys or instances, or a queryset, not {rows!r}."
            )
        check_options(options, ["refresh"], of_rows=True)
        if not isinstance(rows, models.QuerySet):
            return LockedRows(self, list(rows), refresh, options)
        if not _share_rows(self.model, rows.model):
            mine = self.model.__name__
            raise TypeError(f"A queryset of {rows.model.__name__} has no rows of {mine}.")
        return LockedRows(rows, None, refresh, options)

    @classmethod
    def as_manager(cls) -> LockableManager[Any]:
        """Like Django's, but return a ``LockableManager``, whose ``locked()`` requires rows."""
        manager: Any = LockableManager.from_queryset(cls)()
        manager._built_with_as_manager = True  # migrations write the name of the queryset
        made: LockableManager[Any] = manager
        return made

    # As on Django's own method: managers do not get it.
    as_manager.queryset_only = True  # type: ignore[attr-defined]


class LockableManager(models.Manager[M_co]):
    """A manager (``objects``) of rows that are locked together, or written with a fence."""

    _queryset_class = LockableQuerySet

    if TYPE_CHECKING:  # the methods that begin a chain: type checkers would lose its class

        def get_queryset(self) -> LockableQuerySet[M_co]: ...
        def all(self) -> LockableQuerySet[M_co]: ...
        def none(self) -> LockableQuerySet[M_co]: ...
        def filter(self, *args: Any, **kwargs: Any) -> LockableQuerySet[M_co]: ...
        def exclude(self, *args: Any, **kwargs: Any) -> LockableQuerySet[M_co]: ...
        def annotate(self, *args: Any, **kwargs: Any) -> LockableQuerySet[M_co]: ...
        def alias(self, *args: Any, **kwargs: Any) -> LockableQuerySet[M_co]: ...
        def order_by(self, *field_names: Any) -> LockableQuerySet[M_co]: ...
        def distinct(self, *field_names: Any) -> LockableQuerySet[M_co]: ...
        def using(self, alias: str | None) -> LockableQuerySet[M_co]: ...
        def only(self, *fields: Any) -> LockableQuerySet[M_co]: ...
        def defer(self, *fields: Any) -> LockableQuerySet[M_co]: ...
        def select_related(self, *fields: Any) -> LockableQuerySet[M_co]: ...
        def prefetch_related(self, *lookups: Any) -> LockableQuerySet[M_co]: ...
        def select_for_update(self, *args: Any, **kwargs: Any) -> LockableQuerySet[M_co]: ...

    def locked(
        self,
        rows: models.QuerySet[M_co] | Iterable[Any],
        *,
        refresh: Refresh = True,
        **options: Unpack[RowOptions],
    ) -> LockedRows[M_co]:
        """See ``LockableQuerySet.locked()``. ``rows`` is required, so as not to lock every row."""
        show_caller(options)
        return self.get_queryset().locked(rows, refresh=refresh, **options)

    def fenced(self, held: Lock | Iterable[FencedModel]) -> LockableQuerySet[M_co]:
        """See ``FencedQuerySet.fenced()``."""
        return self.get_queryset().fenced(held)


class LockedRows(RowBlock[MultiLock, list[M]]):
    """A block that holds several rows."""

    def __init__(
        self,
        rows: Any,
        wanted: list[Any] | None,
        refresh: Refresh,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(refresh)
        if not issubclass(rows.model, LockableMixin):
            model = rows.model.__name__
            raise TypeError(
                f"{model} has no LockableMixin. Write class {model}(LockableMixin, models.Model)."
            )
        if rows._fields is not None:
            raise TypeError("locked() needs instances: call it without values() or values_list().")
        kind = f"a {rows.query.combinator}() of querysets" if rows.query.combinator else ""
        if rows.query.where.contains_over_clause:
            kind = "a queryset filtered by a window function"  # it would see only the held rows
        if kind:
            raise TypeError(
                f"locked() cannot take {kind}, which cannot be filtered once the rows are held. "
                "Pass their primary keys instead: Model.objects.locked([...])."
            )
        # The database that a router reads from may lag behind the one it writes to.
        self._rows = in_writing_database(rows)
        self._wanted = wanted
        self._given = {id(one) for one in wanted or () if isinstance(one, models.Model)}
        self._options = options
        self._names: dict[Any, str] = {}

    async def _enter(self, call: Call) -> list[M]:
        if self._handle is not None and any(lock.held for lock in self._handle.locks):
            raise LockError(
                f"The rows of this block are held by it already ({self._handle!r}). Leave it "
                "first, or call locked() once more for a block of its own.",
                name=self._handle.names[0],
            )
        self._handle = None  # that of an earlier block, whose loss has been reported
        rows = self._rows.all()
        # Without select_for_update(): until our locks are held, their holder may write the rows.
        rows.query.select_for_update = False
        self._names = await both(call, self._fetch_names, sync_to_async(self._fetch_names), rows)
        if not self._names:
            return []
        handle = lock_of(self._rows.model, set(self._names.values()), self._options)
        return await self._hold(call, handle)

    async def _read(self, call: Call, handle: MultiLock) -> list[M]:
        locks = {one.name: one for one in handle.locks}
        fetch = self._fetch
        found: list[M] = await both(call, fetch, sync_to_async(fetch), self._same_rows())
        self._holds = []
        for one in found:
            is_given = id(one) in self._given
            lock = locks[self._names[self._identity(one)]]
            hold = RowHold(one, lock, self._refresh if is_given else True)
            if is_given:
                await hold.refresh_instance(call)
            self._holds.append(hold)
        return found

    def _same_rows(self) -> Any:
        if self._wanted is not None:
            return self._rows
        rows = self._rows.all()
        rows.query.clear_limits()  # a slice cannot be filtered
        return rows.filter(pk__in=[pk for _, pk in self._names])

    def _fetch(self, rows: Any) -> list[M]:
        """Return the rows as they are now, but given instances as they are."""
        if self._wanted is None:
            return list(rows)
        pks = [one for one in self._wanted if id(one) not in self._given]
        found = {one.pk: one for one in rows.filter(pk__in=pks)} if pks else {}
        return [self._row(one, found, rows) for one in self._wanted]

    def _fetch_names(self, rows: Any) -> dict[Any, str]:
        # Here and not in the coroutine, since a name may need a query.
        found = self._fetch(rows)
        # A queryset may name a replica, from which an outdated row would be written elsewhere.
        databases = {writing_database(one) for one in found if id(one) not in self._given}
        if len(databases) == 1:
            self._rows = self._rows.using(*databases)
        return {self._identity(one): one.get_lock_name() for one in found}

    def _identity(self, row: Any) -> Any:
        # Given instances may be of several databases, where a primary key has a row in each.
        if id(row) in self._given:
            return id(row)
        return row._meta.concrete_model, pk_as_read(row.__class__, row.pk)

    def _row(self, wanted: Any, found: Mapping[Any, Any], rows: Any) -> Any:
        model = self._rows.model
        if id(wanted) in self._given:
            # Not type(), because of lazy objects.
            if not _share_rows(model, wanted.__class__):
                raise TypeError(f"{wanted!r} is not a row of {model.__name__}.")
            check_saved(wanted)
            return wanted
        row = found.get(pk_as_read(model, wanted))
        if row is None:
            # Only the database knows which texts are equal: MariaDB, for one, ignores case.
            row = rows.filter(pk=wanted).first()
        if row is None:
            raise model.DoesNotExist(
                f"There is no {model.__name__} with the primary key {wanted!r}."
            )
        return row


def _share_rows(model: Any, other: type[models.Model]) -> bool:
    """Whether instances of both may be the same row, as those of a parent and of its child."""
    kin = {model._meta.concrete_model, *model._meta.get_parent_list()}
    return not kin.isdisjoint(other.__mro__)
