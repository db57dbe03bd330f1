"""Rows chosen by a window function, such as all but the first of each group.

Filtered once more by their keys or fences, the function would see these rows alone, and choose
fewer of them.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Window
from django.db.models.functions import RowNumber

from django_redislock import lock

from .bank.models import Restaurant, Vault

pytestmark = pytest.mark.django_db(transaction=True)


# The fence of a restaurant is in its parent's table.
@pytest.fixture(params=[(Vault, "note"), (Restaurant, "name")], ids=["own fence", "parent's"])
def numbered(request: Any) -> Any:
    """Two rows of one group and one of another, each with its number within the group."""
    model, field = request.param
    for group in ("a", "a", "b"):
        model.objects.create(**{field: group})
    number = Window(RowNumber(), partition_by=field, order_by="pk")
    return model.objects.annotate(number=number)


def test_locked_refuses_them(numbered: Any) -> None:
    repeated = numbered.filter(number__gt=1)
    with pytest.raises(TypeError, match="window function.* Pass their primary keys instead"):
        repeated.locked()
    with numbered.model.objects.locked([one.pk for one in repeated]) as rows:
        assert len(rows) == 1


def test_a_fenced_write_refuses_them(numbered: Any) -> None:
    with lock("all") as held:
        repeated = numbered.filter(number__gt=1).fenced(held)
        for write in (repeated.delete, lambda: repeated.update(pk=1)):
            with pytest.raises(ValueError, match="window function.* filter by those"):
                write()
    assert numbered.filter(fence=0).count() == 3


def test_a_window_function_may_choose_in_a_subquery_or_none_at_all(numbered: Any) -> None:
    repeated = numbered.filter(number__gt=1)
    chosen = numbered.model.objects.filter(pk__in=repeated.values("pk"))
    with chosen.locked() as rows:
        assert len(rows) == 1
    with numbered.locked() as rows:
        assert sorted(row.number for row in rows) == [1, 1, 2]
    with lock("all") as held:
        assert chosen.fenced(held).delete()[1][numbered.model._meta.label] == 1
