"""Models whose rows can be held: one row, several, and the methods of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from asgiref.sync import sync_to_async
from django.db import models
from django.db.models.manager import BaseManager

from ..classes import check_attributes
from ..handles import Lock, MultiLock, lock
from ..holder import caller
from ..names import dotted_path, name_template
from ..options import RowOptions
from ..twins import Call, both
from .fencing import FencedModel, FencedQuerySet
from .holds import (
    LockedRow,
    Refresh,
    RowBlock,
    RowHold,
    check_saved,
    in_writing_database,
    pk_as_read,
    row_name,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    class Manager(models.Manager[Any]):
        """Where a chain begins: a type checker would forget whose queryset it is."""

        def get_queryset(self) -> LockableQuerySet[Any]: ...
        def all(self) -> LockableQuerySet[Any]: ...
        def filter(self, *args: Any, **kwargs: Any) -> LockableQuerySet[Any]: ...
        def exclude(self, *args: Any, **kwargs: Any) -> LockableQuerySet[Any]: ...
        def order_by(self, *field_names: Any) -> LockableQuerySet[Any]: ...
        def using(self, alias: str | None) -> LockableQuerySet[Any]: ...
        def select_related(self, *fields: Any) -> LockableQuerySet[Any]: ...
        def prefetch_related(self, *lookups: Any) -> LockableQuerySet[Any]: ...

else:
    Manager = models.Manager


__all__ = ["LockableManager", "LockableMixin", "LockableQuerySet", "lock_of"]

M = TypeVar("M", bound="LockableMixin")


class LockableMixin(FencedModel):
    """A model whose rows can be held. Goes before ``models.Model``.

    ``lock_name``: a template that names the lock of a row, such as ``"account:{self.number}"``, in
    place of ``app_label.model_name:pk``. ``lock_options``: options of ``lock()`` for all blocks and
    methods of this model that do not say otherwise.
    """

    # Migrations name the bases of a model by their place: the public one, which stays where it is.
    __module__ = "django_redislock"

    lock_name: ClassVar[str | None] = None
    lock_options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_attributes(cls, LockableMixin)
        if isinstance(cls.lock_name, (str, list, tuple)):
            _check_name(cls, cls.lock_name)
        order = cls.__mro__
        if models.Model in order and order.index(models.Model) < order.index(LockableMixin):
            raise TypeError(
                "LockableMixin goes before models.Model: "
                f"class {cls.__name__}(LockableMixin, models.Model)."
            )

    def get_lock_name(self) -> str:
        """The name of the row's lock, the same for all instances of the row.

        Raises ``ValueError`` if a value that should be in it is missing.
        """
        if self.lock_name is not None:
            return name_template(self.lock_name).fill({"self": self})
        return row_name(self)

    @property
    def lock_held(self) -> Lock | None:
        """The handle of the innermost block or locked method that this instance is in."""
        return self._row_holds[-1].lock if self._row_holds else None

    def locked(self, *, refresh: Refresh = True, **options: Unpack[RowOptions]) -> LockedRow:
        """A block, ``with`` or ``async with``, in which the row is held; it gets the handle.

        Within it the instance has the values that the database had when the row was held. Fields
        that are deferred stay so. ``refresh``: the names of the fields to read, or False to read
        nothing. The options are those of ``lock()``, but ``reentrant`` is True by default, unless
        there is a ``min_hold``.

        Entering raises ``LockNotAcquired``, ``LockUnavailable``, or the model's ``DoesNotExist`` if
        the row was deleted. Raises ``ValueError`` if the instance was not saved.
        """
        check_saved(self)
        _show_caller(options)
        return LockedRow(lock_of(self, self.get_lock_name(), options), self, refresh)

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or what comes out of a cache, is not held.
        state = super().__getstate__()
        state.pop("_row_holds", None)
        return state


class LockableQuerySet(FencedQuerySet[M]):
    """Rows that can be held together, and written with a fence."""

    if TYPE_CHECKING:  # which leaves to a model given here to say whose rows they are

        def __init__(
            self,
            model: type[M] | None = None,
            query: Any = None,
            using: str | None = None,
            hints: Any = None,
        ) -> None: ...

    def locked(
        self,
        rows: models.QuerySet[M] | Iterable[Any] | None = None,
        *,
        refresh: Refresh = True,
        **options: Unpack[RowOptions],
    ) -> LockedRows[M]:
        """A block, ``with`` or ``async with``, in which these rows are held; it gets a list.

        ``rows``: primary keys or instances, in any mixture, which come back in this order; or a
        queryset. By default the rows of this queryset. What was given as an instance is read again
        as ``refresh`` says, the rest is fetched when it is held. The locks are taken in one order,
        so that two who want the same rows never wait for each other; ``wait`` is for all together.

        Entering raises as ``LockableMixin.locked()`` does; ``DoesNotExist`` only for rows that were
        given. A row that no longer matches the queryset when it is held is left out.
        """
        _show_caller(options)
        if isinstance(rows, (str, bytes)) or not isinstance(rows, (Iterable, type(None))):
            raise TypeError(
                f"locked() takes a list of primary keys or instances, or a queryset, not {rows!r}."
            )
        if isinstance(rows, models.QuerySet):
            return LockedRows(rows, None, refresh, options)
        return LockedRows(self, None if rows is None else list(rows), refresh, options)


class LockableManager(Manager):
    """The ``objects`` of a model whose rows are held together, or written with a fence."""

    _queryset_class = LockableQuerySet

    def locked(
        self,
        rows: models.QuerySet[Any] | Iterable[Any],
        *,
        refresh: Refresh = True,
        **options: Unpack[RowOptions],
    ) -> LockedRows[Any]:
        """See ``LockableQuerySet.locked()``. ``rows`` is a must: nobody holds all by mistake."""
        _show_caller(options)
        return self.get_queryset().locked(rows, refresh=refresh, **options)

    def fenced(self, held: Lock | Iterable[FencedModel]) -> LockableQuerySet[Any]:
        """See ``FencedQuerySet.fenced()``."""
        return self.get_queryset().fenced(held)


class LockedRows(RowBlock[MultiLock, list[M]]):
    """A block in which several rows are held."""

    def __init__(
        self,
        rows: Any,
        wanted: list[Any] | None,
        refresh: Refresh,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__()
        if not issubclass(rows.model, LockableMixin):
            raise TypeError(f"{rows.model.__name__} has no LockableMixin.")
        if rows._fields is not None:
            raise TypeError("locked() needs instances: call it without values() or values_list().")
        # What a router reads from may be behind what it writes to.
        self._rows = in_writing_database(rows)
        self._wanted = wanted
        self._given = {id(one) for one in wanted or () if isinstance(one, models.Model)}
        self._refresh = refresh
        self._options = options
        self._names: dict[tuple[type[models.Model], Any], str] = {}

    async def _enter(self, call: Call) -> list[M]:
        named: list[M] = await both(call, self._fetch, self._afetch, self._rows)
        if not named:
            return named
        self._names = {_identity(one): one.get_lock_name() for one in named}
        handle = lock_of(self._rows.model, set(self._names.values()), self._options)
        return await self._hold(call, handle)

    async def _read(self, call: Call, handle: MultiLock) -> list[M]:
        locks = {one.name: one for one in handle.locks}
        found: list[M] = await both(call, self._fetch, self._afetch, self._same_rows())
        self._holds = []
        for one in found:
            is_given = id(one) in self._given
            lock = locks[self._names[_identity(one)]]
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
        """The rows as they are now; but what was given as an instance is that instance."""
        if self._wanted is None:
            return list(rows.all())  # a queryset would give again what it has once fetched
        pks = [one for one in self._wanted if id(one) not in self._given]
        found = {one.pk: one for one in rows.filter(pk__in=pks)} if pks else {}
        return [self._row(one, found) for one in self._wanted]

    async def _afetch(self, rows: Any) -> list[M]:
        return await sync_to_async(self._fetch)(rows)

    def _row(self, wanted: Any, found: Mapping[Any, Any]) -> Any:
        model = self._rows.model
        if id(wanted) in self._given:
            # Parent and child stand for one row.
            kin = {model._meta.concrete_model, *model._meta.get_parent_list()}
            if kin.isdisjoint(type(wanted).__mro__):
                raise TypeError(f"{wanted!r} is not a row of {model.__name__}.")
            check_saved(wanted)
            return wanted
        try:
            return found[pk_as_read(model, wanted)]
        except KeyError:
            raise model.DoesNotExist(
                f"There is no {model.__name__} with the primary key {wanted!r}."
            ) from None


def _check_name(model: type[LockableMixin], lock_name: str | Sequence[str]) -> None:
    if not isinstance(lock_name, str):
        raise TypeError(
            f"{dotted_path(model)} has the lock_name {lock_name!r}: a row has one lock, so write "
            "one template."
        )
    for field in sorted(name_template(lock_name).roots - {"self"}):
        raise ValueError(
            f"{dotted_path(model)} has the lock_name {lock_name!r}, which mentions {{{field}}}: "
            f"write {{self.{field}}}."
        )


def _show_caller(options: RowOptions) -> None:
    """Let the holder be the code that has called ``locked()``, unless ``what`` says otherwise."""
    if options.get("what") is None:
        what = caller(2)
        # A manager that was made of the queryset passes the call on.
        options["what"] = caller(3) if what.startswith(f"{BaseManager.__module__}.") else what


def lock_of(
    model: LockableMixin | type[LockableMixin], name: str | set[str], options: Mapping[str, Any]
) -> Any:
    """The handle on one row or several, with the options of the model but for those given."""
    if "token" in options:
        raise TypeError(
            "locked() has no option 'token': a row is held by a block of its own. To act on a hold "
            "by its token, write lock(instance.get_lock_name(), token=...)."
        )
    given = {option: value for option, value in options.items() if value is not None}
    every = {**model.lock_options, **given}
    # What has to last for so long must be a hold of its own.
    every.setdefault("reentrant", not every.get("min_hold"))
    return lock(name, **every)


def _identity(instance: Any) -> tuple[type[models.Model], Any]:
    return instance._meta.concrete_model, pk_as_read(type(instance), instance.pk)
