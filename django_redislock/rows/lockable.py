"""``LockableMixin``: models whose rows can be locked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.core import checks
from django.db import models
from django.db.models.manager import BaseManager

from ..attributes import check_attributes
from ..handles import Lock, lock
from ..holder import caller
from ..names import dotted_path, name_template
from ..options import RowOptions, check_options
from .fencing import FencedModel
from .holds import (
    LockedRow,
    Refresh,
    check_saved,
    row_name,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["LockableMixin", "lock_of", "show_caller", "without_row"]


class LockableMixin(FencedModel):
    """A model whose rows can be locked. Goes before ``models.Model``.

    ``lock_name``: a template for the name of a row's lock, such as ``"account:{self.number}"``,
    instead of ``app_label.model_name:pk``. ``lock_options``: the default options of ``lock()`` for
    all blocks and methods of this model.
    """

    # Migrations contain the path of a model's bases: the public one, which will not change.
    __module__ = "django_redislock"

    lock_name: ClassVar[str | None] = None
    lock_options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_attributes(cls, LockableMixin)
        if isinstance(cls.lock_name, (str, list, tuple)):
            _check_name(cls, cls.lock_name)
        _check_methods(cls)
        order = cls.__mro__
        if models.Model in order and order.index(models.Model) < order.index(LockableMixin):
            raise TypeError(
                "LockableMixin goes before models.Model: "
                f"class {cls.__name__}(LockableMixin, models.Model)."
            )

    @classmethod
    def check(cls, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *_missing(cls)]

    def get_lock_name(self) -> str:
        """Return the name of the row's lock, which is the same for all instances of the row.

        Raises ``ValueError`` if a value for the name is missing.
        """
        if self.lock_name is not None:
            return name_template(self.lock_name).fill({"self": self})
        return row_name(self)

    @property
    def lock_held(self) -> Lock | None:
        """The handle of the innermost block or locked method that this instance is in."""
        locks = [hold.lock for hold in self._row_holds]
        return next((lock for lock in reversed(locks) if lock is not None), None)

    def locked(self, *, refresh: Refresh = True, **options: Unpack[RowOptions]) -> LockedRow:
        """Return a block, ``with`` or ``async with``, that holds the row; ``as`` gets the handle.

        On entry the instance is read again from the database, once the row is held. Deferred fields
        stay deferred. ``refresh``: the names of the fields to read, or False to read nothing. The
        options are those of ``lock()``, but ``reentrant`` is True by default, unless there is a
        ``min_hold``.

        Entering raises ``LockNotAcquired``, ``LockUnavailable``, or the model's ``DoesNotExist`` if
        the row was deleted. Raises ``ValueError`` if the instance was not saved.
        """
        check_saved(self)
        check_options(options, ["refresh"], of_rows=True)
        show_caller(options)
        return LockedRow(lock_of(self, self.get_lock_name(), options), self, refresh)

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or an instance from a cache, is not held.
        state = super().__getstate__()
        state.pop("_row_holds", None)
        return state


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


def _check_methods(model: type[LockableMixin]) -> None:
    for name, value in [item for one in model.__mro__ for item in vars(one).items()]:
        if isinstance(value, (classmethod, staticmethod)) and getattr(
            value.__func__, "is_locked_method", False
        ):
            kind = type(value).__name__
            raise TypeError(without_row(f"{dotted_path(model)}.{name} is a locked {kind}"))


def without_row(what: str) -> str:
    """Return the text of the error for a locked method that no instance is passed to."""
    return f"{what}, which has no instance whose row it could hold. Write @locked(name) instead."


def _missing(model: type[LockableMixin]) -> Iterator[checks.CheckMessage]:
    """Yield a warning for each attribute in ``lock_name`` that the model does not have.

    Found here and not when the class is created: other models may add reverse relations to it.
    """
    if not isinstance(model.lock_name, str) or hasattr(model, "__getattr__"):
        return
    fields = name_template(model.lock_name).fields
    followed = {one[1] for field in fields if (one := re.match(r"self\.([^.\[]+)", field))}
    # Looked up without getattr(), which would call descriptors.
    for name in sorted(followed.difference(*map(vars, model.__mro__))):
        yield checks.Warning(
            f"The lock_name {model.lock_name!r} needs an attribute that {dotted_path(model)} does "
            f"not have: {name!r}.",
            hint="Correct it. If each instance sets the attribute by itself, write the id of this "
            "check in SILENCED_SYSTEM_CHECKS.",
            obj=model,
            id="locks.W009",
        )


def show_caller(options: RowOptions) -> None:
    """Show the caller of ``locked()`` as the holder, unless the option ``what`` is given."""
    if options.get("what") is None:
        what = caller(2)
        # A manager that was created from the queryset passes the call on.
        options["what"] = caller(3) if what.startswith(f"{BaseManager.__module__}.") else what


def lock_of(
    model: LockableMixin | type[LockableMixin], name: str | set[str], options: Mapping[str, Any]
) -> Any:
    """Return the handle for one row or several; the model has defaults for the options."""
    given = {option: value for option, value in options.items() if value is not None}
    every = {**model.lock_options, **given}
    # A ``min_hold`` needs a hold of its own.
    every.setdefault("reentrant", not every.get("min_hold"))
    return lock(name, **every)
