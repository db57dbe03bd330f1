"""Comparison of writes to rows with their fences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections, models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.sql import Query

from ..exceptions import LockError, LockLost
from ..handles import Lock

__all__ = ["Fences", "deletion", "fence_of", "overtaken"]


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


@contextmanager
def deletion(database: str) -> Iterator[None]:
    """The transaction of a deletion that is all or nothing.

    If other rows protect those to be deleted, an outer transaction may go on, as without a fence:
    nothing was written but fences.
    """
    protected = None
    with transaction.atomic(using=database, savepoint=False):
        try:
            yield
        except (models.ProtectedError, models.RestrictedError) as error:
            protected = error
    if protected is not None:
        try:
            raise protected
        finally:
            del protected  # its traceback has this frame, and would keep those of the callers


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
        """Raise ``ValueError`` for rows whose filter would choose others once it is extended.

        Such are filters by the fences, which will be raised, and by window functions.
        """
        if rows.query.where.contains_over_clause:
            raise ValueError(
                "fenced() filters the rows again, by their fence, and a window function would then "
                "see only these. Fetch their primary keys first, and filter by those."
            )
        if _reads(self.field, [rows.query.where, *_conditions_of_joins(rows.query)]):
            raise ValueError(
                "fenced() raises the fence of the rows before it writes them, so they cannot be "
                "filtered by their fence. Fetch their primary keys first, and filter by those."
            )

    def refuse_values(self, rows: Any, values: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for a value that depends on the fence, since it will be raised."""
        for name, value in values.items():
            if not hasattr(value, "resolve_expression"):
                continue
            if _reads(self.field, [value.resolve_expression(rows.query.clone())]):
                raise ValueError(
                    f"fenced() raises the fence of the rows before it writes them, so {name} "
                    "cannot be set from it. Fetch the fence first, and write its value."
                )

    def claim(self, rows: Any) -> None:
        """Raise the fences of these rows, in an open transaction. The table must have the fence.

        No other transaction writes the rows until this one is over. Raises ``LockLost`` if one of
        them has a higher fence.
        """
        mine, name = self.mine(), self.field.name
        rows.filter((f"{name}__lte", mine)).update(**{name: mine})
        higher = rows.filter((f"{name}__gt", mine)).order_by().values_list("pk", flat=True)
        if connections[rows.db].vendor == "mysql":
            # Under REPEATABLE READ it updates the latest rows, but reads those of the transaction's
            # snapshot, unless it locks them.
            higher = higher.select_for_update()
        for pk in higher[:1]:
            raise overtaken(self.locks if isinstance(self.locks, Lock) else self.locks[pk])


def _reads(field: models.Field[Any, Any], expressions: Iterable[Any]) -> bool:
    """Whether one of these resolved expressions depends on the field, also in a subquery."""
    seen: dict[int, Any] = {}  # keeps them alive, so that no id is used twice
    stack = list(expressions)
    while stack:
        one = stack.pop()
        if getattr(one, "target", None) == field:
            return True
        if id(one) not in seen:
            seen[id(one)] = one
            stack.extend(_parts(one))
    return False


def _parts(one: Any) -> Iterable[Any]:
    """Return what the rows or the value of a query, a condition or an expression depend on."""
    if isinstance(one, Query):
        return [
            one.where,
            *one.select,
            *one.annotation_select.values(),
            *one.combined_queries,
            *_conditions_of_joins(one),
            *_order(one),
        ]
    if isinstance(one, (list, tuple)):
        return one
    if not hasattr(one, "get_source_expressions"):
        return getattr(one, "children", [])
    # A lookup does not name its right side there if it is a list; nor some subqueries their query.
    others = [getattr(one, name, None) for name in ("lhs", "rhs", "query")]
    return [*one.get_source_expressions(), *others]


def _conditions_of_joins(query: Any) -> Iterator[Any]:
    for join in query.alias_map.values():
        if (filtered := getattr(join, "filtered_relation", None)) is not None:
            yield filtered.resolved_condition


def _order(query: Any) -> Iterator[Any]:
    """Yield what a subquery is ordered by. Django drops the order of those that are no slices."""
    default = query.get_meta().ordering if query.default_ordering else ()
    for one in query.order_by or default:
        if one != "?":
            named = F(one.lstrip("-")) if isinstance(one, str) else one
            yield named.resolve_expression(query.clone())
