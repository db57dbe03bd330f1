"""Comparison of writes to rows with their fences."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Case, Lookup, Q, Value, When

from ..exceptions import LockError, LockLost
from ..handles import Lock

__all__ = ["Fences", "fence_of", "overtaken"]


def fence_of(lock: Lock) -> int:
    """Return the fence to write with. Raises ``LockLost``, or ``LockError`` if not a mutex."""
    if lock.limit != 1:
        raise LockError.of(
            lock.name,
            "may have several holders at once, and a fence refuses the writes of all but the last. "
            "To write a fenced row, take it without limit and without shared",
        )
    lock.check()
    return lock.fence


def overtaken(lock: Lock) -> LockLost:
    return LockLost.of(lock.name, "was lost: a later holder has written the row")


class Fences:
    """The fences for a write: that of one lock for all rows, or that of each row's own lock."""

    def __init__(self, field: models.Field[Any, Any], locks: Lock | dict[Any, Lock]) -> None:
        self.field = field
        self.locks = locks
        self.owner: type[models.Model] = field.model
        self.pk = self.owner._meta.pk.name

    def mine(self) -> Any:
        """Return the fence to write with, as a value for the statement that writes."""
        if isinstance(self.locks, Lock):
            return fence_of(self.locks)
        whens = [
            When(Q((self.pk, pk)), then=Value(fence_of(lock), output_field=self.field))
            for pk, lock in self.locks.items()
        ]
        return Case(*whens, output_field=self.field)

    def of_these(self, rows: Any) -> Any:
        """Return those of the rows that have a lock here."""
        if isinstance(self.locks, Lock):
            return rows
        # The comparison would leave out the others too, but primary keys are found by an index.
        return rows.filter((f"{self.pk}__in", list(self.locks)))

    def refuse_filter(self, rows: Any) -> None:
        """Raise ``ValueError`` for rows filtered by their fences, since those will be raised."""
        filters = rows.query.where.leaves()
        used = (part for one in filters if isinstance(one, Lookup) for part in one.flatten())
        if any(getattr(part, "target", None) == self.field for part in used):
            raise ValueError(
                "fenced() raises the fence of the rows before it writes them, so they cannot be "
                "filtered by their fence. Fetch their primary keys first, and filter by those."
            )

    def claim(self, rows: Any) -> None:
        """Raise the fences of these rows, in an open transaction. The table must have the fence.

        No other transaction writes the rows until this one is over. Raises ``LockLost`` if one of
        them has a higher fence.
        """
        mine, name = self.mine(), self.field.name
        rows.filter((f"{name}__lte", mine)).update(**{name: mine})
        higher = rows.filter((f"{name}__gt", mine)).order_by().values_list("pk", flat=True)[:1]
        for pk in higher:
            raise overtaken(self.locks if isinstance(self.locks, Lock) else self.locks[pk])
