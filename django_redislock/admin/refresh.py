"""Refresh of the list: the rows that a page shows, in the same order, with current figures."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.http import QueryDict
from django.utils.translation import gettext as _, ngettext

from ..operations.selection import Selection, ranks
from .base import BaseLockAdmin
from .live import LiveLocks
from .query import number
from .references import Reference, find_all
from .rows import MissingRow, Row

__all__ = ["ShownLocks"]

SHOWN, TOTAL, QUERY = "shown", "total", "query"


class ShownLocks(LiveLocks):
    """The same rows as before, even if locks have been renewed or acquired since.

    ``shown`` has the references of the rows as one JSON field, since Django accepts at most 1000
    fields in a form. ``total`` is the number of locks at the time the page was loaded.
    """

    def __init__(self, model_admin: BaseLockAdmin, data: QueryDict) -> None:
        self.shown = _references(data.get(SHOWN, ""))[: model_admin.list_per_page]
        self.total_before = number(data.get(TOTAL), least=0)
        super().__init__(model_admin, QueryDict(data.get(QUERY, "").lstrip("?")))

    def _select(self) -> Selection:
        if not self.query.by_rank:
            selection = super()._select()
        else:
            selection = ranks(self._chosen(), 0, 0)
            self._paginate(selection.total, self.query.page)
        down = {one.alias for one in selection.silent if not one.partly}
        self.still_held, silent = find_all(one for one in self.shown if one.alias not in down)
        known = {one.alias for one in selection.silent}
        selection.silent += [one for one in silent if one.alias not in known]
        selection.found = list(self.still_held.values())
        return selection

    def _rows(self) -> Sequence[Row | MissingRow]:
        unknown = {one.alias for one in self.silent}
        rows: list[Row | MissingRow] = []
        for reference in self.shown:
            if found := self.still_held.get(reference):
                rows.append(Row(found))
            else:
                is_unknown = reference.alias in unknown
                why = _("not known") if is_unknown else _("ended")
                rows.append(MissingRow(reference, why, is_unknown))
        return rows

    @property
    def news(self) -> str:
        """A message about new locks that are not shown, estimated from the totals."""
        if self.silent:
            return ""
        ended = sum(bool(row.missing) for row in self.rows)
        count = self.result_count - (self.total_before - ended)
        if count <= 0:
            return ""
        return ngettext("%(count)d more since", "%(count)d more since", count) % {"count": count}


def _references(text: str) -> list[Reference]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(values, list):
        return []
    return Reference.read_all(value for value in values if isinstance(value, str))
