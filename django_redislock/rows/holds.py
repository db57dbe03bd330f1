"""Locks of database rows: their names, and the blocks that hold them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeAlias, TypeVar
from weakref import ref

from django.db import DEFAULT_DB_ALIAS, router

from ..handles import Lock
from ..handles.base import Block, Handle
from ..names import name_template
from ..twins import Call, both

if TYPE_CHECKING:
    from django.db import models

__all__ = [
    "LockedRow",
    "Refresh",
    "RowBlock",
    "RowHold",
    "check_refresh",
    "check_saved",
    "in_writing_database",
    "pk_as_read",
    "row_name",
    "writing_database",
]

# Which fields of an instance to read again once its row is held: all, none, or those named.
Refresh: TypeAlias = "bool | Collection[str]"

H = TypeVar("H", bound=Handle[Any])
T = TypeVar("T")


def row_name(instance: Any) -> str:
    """Return ``app_label.model_name:pk``, the same name for all instances of one row.

    A row of a child table belongs to its parent's row, so both are named after the topmost parent
    (the first, if there are several). Primary keys are encoded, so that no two rows share a name.
    For a database other than the default, the name is ``app_label.model_name@alias:pk``.
    """
    options = instance._meta.concrete_model._meta
    values = [getattr(instance, field.attname) for field in options.pk_fields]
    while options.parents:
        parent, link = next(iter(options.parents.items()))
        if link != options.pk:
            values = [getattr(instance, link.attname)]
        options = parent._meta
    fields = options.pk_fields
    filling = {
        field.attname: _usable(field.get_prep_value(value))
        for field, value in zip(fields, values, strict=True)
    }
    parts = [options.label_lower, *(f"{{{field.attname}}}" for field in fields)]
    if (database := writing_database(instance)) != DEFAULT_DB_ALIAS:
        parts[0] += "@{database_}"  # no field of a model may end with an underscore
        filling["database_"] = database
    return name_template(":".join(parts)).fill(filling)


def _usable(value: Any) -> Any:
    """Return the value of a primary key as a value that a name can have."""
    return bytes(value).hex() if isinstance(value, (bytes, bytearray, memoryview)) else value


def pk_as_read(model: type[models.Model], pk: Any) -> Any:
    """Return the primary key as read from the database; an instance may have it as a text."""
    options: Any = model._meta
    if len(options.pk_fields) == 1:
        return options.pk.to_python(pk)
    return tuple(field.to_python(value) for field, value in zip(options.pk_fields, pk, strict=True))


def writing_database(instance: models.Model) -> str:
    """Return the database that ``save()`` writes to; the instance may come from a replica."""
    # Not type(), here and below: request.user is a lazy object, which only says that it is a user.
    return router.db_for_write(instance.__class__, instance=instance)


def in_writing_database(rows: Any) -> Any:
    """Return the queryset for the database where its rows are written."""
    return rows.using(rows._db or router.db_for_write(rows.model, **rows._hints))


def check_saved(instance: Any) -> None:
    """Raise ``ValueError`` if no row is known to exist for this instance."""
    if instance._state.adding or not instance._is_pk_set():
        raise ValueError(
            f"This {instance.__class__.__name__} has no row to lock: it was neither saved nor "
            "fetched from the database. Do so first, or lock a name of your own with lock()."
        )


def check_refresh(refresh: Refresh) -> None:
    """Raise ``TypeError`` for anything else, also for a string: its letters are no field names."""
    if isinstance(refresh, str) or not isinstance(refresh, (bool, Collection)):
        raise TypeError(f"refresh must be True, False or a list of names, not {refresh!r}.")


class RowHold:
    """One block in which the row of an instance is held, as recorded on the instance.

    It does not apply to other instances of the same row, which may be older than the hold. The
    handle belongs to the block: the instance must not keep it alive after an interrupted block.
    """

    def __init__(self, instance: Any, lock: Lock, refresh: Refresh) -> None:
        self.instance = instance
        self._lock = ref(lock)
        self.token = lock.token
        self.refresh = refresh
        self.database = writing_database(instance)
        self.pk = pk_as_read(instance.__class__, instance.pk)

    @property
    def lock(self) -> Lock | None:
        """The handle, or None if the block was dropped."""
        return self._lock()

    def begin(self) -> None:
        self.instance._row_holds += (self,)

    def end(self) -> None:
        # It may not be the last one, since tasks may share an instance.
        self.instance._row_holds = tuple(
            hold for hold in self.instance._row_holds if hold is not self and hold.lock is not None
        )

    async def refresh_instance(self, call: Call) -> None:
        """Read the instance again, unless an outer block has done so.

        In that case, changes that are not saved yet must not be undone.
        """
        if not self.refresh or any(self._was_refreshed_by(o) for o in self.instance._row_holds):
            return
        # By keywords, as Django does: a model may override this method.
        read = {"using": self.database, "fields": None if self.refresh is True else [*self.refresh]}
        instance = self.instance
        await both(call, instance.refresh_from_db, instance.arefresh_from_db, **read)

    def _was_refreshed_by(self, outer: RowHold) -> bool:
        if outer.lock is None or outer.token != self.token:
            return False
        if isinstance(outer.refresh, bool) or isinstance(self.refresh, bool):
            return outer.refresh is True
        return set(self.refresh) <= set(outer.refresh)


class RowBlock(Block[T], Generic[H, T]):
    """A block, ``with`` or ``async with``, that holds rows and refreshes their instances."""

    def __init__(self, refresh: Refresh) -> None:
        check_refresh(refresh)
        self._refresh = refresh
        self._handle: H | None = None
        self._holds: list[RowHold] = []

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"locked() returns a block, which has no attribute {name!r} and holds nothing until it "
            "is entered. Write `with ...locked(...) as held:`"
        )

    @abstractmethod
    async def _read(self, call: Call, handle: H) -> T:
        """Read the rows that are now held, fill ``_holds``, and return the ``as`` value."""

    async def _hold(self, call: Call, handle: H) -> T:
        await handle._enter(call)
        self._handle = handle
        try:
            gets = await self._read(call, handle)
            for hold in self._holds:
                hold.begin()
        except GeneratorExit as error:
            self._end_later(error)  # nothing may be awaited any more
            raise
        except BaseException as error:
            await self._leave(call, error)
            raise
        return gets

    async def _leave(self, call: Call, error: BaseException | None) -> None:
        try:
            for hold in self._holds:
                hold.end()
        finally:
            if self._handle is not None:
                await self._handle._leave(call, error)

    def _end_later(self, error: BaseException) -> None:
        if self._handle is not None:
            self._handle._end_later(error)


class LockedRow(RowBlock[Lock, Lock]):
    """A block that holds the row of one instance."""

    def __init__(self, handle: Lock, instance: Any, refresh: Refresh) -> None:
        super().__init__(refresh)
        self._lock = handle
        self._instance = instance

    async def _enter(self, call: Call) -> Lock:
        return await self._hold(call, self._lock)

    async def _read(self, call: Call, handle: Lock) -> Lock:
        hold = RowHold(self._instance, handle, self._refresh)
        await hold.refresh_instance(call)
        self._holds = [hold]
        return handle
