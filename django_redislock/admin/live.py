"""List of the live locks: the rows of a page, and how the search for them went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.paginator import Paginator
from django.http import QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from ..backends.base import Hold
from ..exceptions import InvalidLockBackend, LockUnavailable
from ..handler import lock_backends
from ..operations.asking import Silent
from ..operations.selection import Found, Listed, Selection, distinct, listing, look_up, ranks
from ..operations.states import urgency
from ..operations.summary import Summary, counts_of
from .base import BaseLockAdmin
from .filters import Choices, choices_of
from .query import Heading, Query
from .rows import MissingRow, Row

__all__ = ["LiveLocks"]

T = TypeVar("T")

SORTED_BY: dict[str, Callable[[Hold], Any]] = {
    "age": lambda hold: hold.age,
    "waiters": lambda hold: hold.waiters,
    "attention": urgency,
}


class LiveLocks:
    """The interface of a ``ChangeList`` that the change list templates of Django and other themes
    use, and their tags.
    """

    formset = None
    has_filters = True
    is_facets_optional = False
    show_all = can_show_all = False

    def __init__(
        self, model_admin: BaseLockAdmin, params: QueryDict, per_page: int | None = None
    ) -> None:
        self.model_admin = model_admin
        self.opts = model_admin.opts
        self.aliases = list(lock_backends)
        self.query = Query.read(params, self.aliases)
        self.per_page = per_page or model_admin.list_per_page
        self.look_at = model_admin.look_at
        self.look_through = model_admin.look_through
        self.at_once = model_admin.release_at_once
        # The rank up to which holds were examined, and their total; both for partial searches.
        self.looked_to = self.of_all = 0
        # How many holds there are in the backends that were asked.
        self.held = 0
        selection = self._select()
        self.found = selection.found
        self.silent = selection.silent
        self.result_count = selection.total
        self.rows = self._rows()

    def _select(self) -> Selection:
        return self._by_rank() if self.query.by_rank else self._by_looking()

    def _rows(self) -> Sequence[Row | MissingRow]:
        return list(map(Row, self.found))

    def counts(self) -> Summary | None:
        """Return the part of the summary that costs only a count of the names with waiters."""
        silent = [one.alias for one in self.silent if not one.partly]
        held = None if self.query.backend else self.held
        return counts_of(self.aliases, held, without=silent)

    def _chosen(self) -> list[str]:
        return [self.query.backend] if self.query.backend else self.aliases

    def _by_rank(self) -> Selection:
        wanted = self.query.page
        backwards = self.query.order == "-ttl"
        while True:
            start, stop = (wanted - 1) * self.per_page, wanted * self.per_page
            selection = ranks(self._chosen(), start, stop, backwards=backwards)
            self.held = selection.total
            self._paginate(selection.total, wanted)
            if self.page_num == wanted:
                return selection
            # Locks have ended since the link to this page was made.
            wanted = self.page_num

    def _by_looking(self) -> Selection:
        """Search a limited part of the index, which has only names and ends of leases, and note
        how far the search went.
        """
        criteria, start = self.query.criteria, self.query.start
        reach = self.look_through if self.query.text else self.look_at
        backwards = self.query.order == "-ttl"
        listed, total, silent = listing(self._chosen(), start, start + reach, backwards=backwards)
        if start and start >= total:
            # Locks have ended since the link to this part was made.
            self.query = self.query.but()
            return self._by_looking()
        self.held = total
        self.looked_to = start + len(listed)
        named = [
            (place, one)
            for place, one in enumerate(listed, start)
            if criteria.match_name(one.entry.name)
        ]
        if not self.query.by_index and len(named) > self.look_at:
            # Full holds are read for at most this many.
            self.looked_to = named[self.look_at][0]
            named = named[: self.look_at]
        if start or self.looked_to < total:
            self.of_all = total
        chosen = self._named(silent)
        known = {one.identity for one in chosen}
        chosen += [one for _, one in named if one.identity not in known]
        if self.query.by_index:
            page = self._page_of(chosen)
            return Selection(look_up(page, silent), len(chosen), silent)
        found = [one for one in look_up(chosen, silent) if criteria.match(one.hold)]
        return Selection(self._page_of(self._sorted(found)), len(found), silent)

    def _page_of(self, chosen: list[T]) -> list[T]:
        self._paginate(len(chosen), self.query.page)
        first = (self.page_num - 1) * self.per_page
        return chosen[first:][: self.per_page]

    def _named(self, silent: list[Silent]) -> list[Listed]:
        """Look up an exact name directly, so that it is found beyond the searched ranks too.

        Add backends that fail to ``silent``.
        """
        down = {one.alias for one in silent if not one.partly}
        found = []
        for alias in distinct(self._chosen()) if self.query.exact else []:
            if alias in down:
                continue
            try:
                holds, _waiting = lock_backends[alias].inspect(self.query.exact)
            except (LockUnavailable, InvalidLockBackend) as error:
                silent.append(Silent(alias, error))
            else:
                found += [Listed(alias, hold.entry) for hold in holds]
        return found

    def _sorted(self, found: list[Found]) -> list[Found]:
        order = self.query.order
        if order.lstrip("-") == "ttl":
            return found
        by = SORTED_BY[order.lstrip("-")]
        return sorted(found, key=lambda one: by(one.hold), reverse=order.startswith("-"))

    def _paginate(self, total: int, wanted: int) -> None:
        self.paginator = Paginator(range(total), self.per_page)
        self.page_num = self.paginator.get_page(wanted).number

    @property
    def headings(self) -> list[Heading]:
        several = [Heading("alias", _("Backend"))] if len(self.aliases) > 1 else []
        return [
            Heading("name", _("Name")),
            *several,
            self._heading("lease", _("Remaining lease"), "ttl"),
            Heading("holder", _("Holder")),
            self._heading("waiters", _("Waiters"), "-waiters"),
            self._heading("since", _("Held since"), "-age"),
            Heading("limit", _("Limit")),
            Heading("fence", _("Fence")),
        ]

    def _heading(self, column: str, text: str, first: str) -> Heading:
        by, order = first.lstrip("-"), self.query.order
        if order.lstrip("-") != by:
            return Heading(column, text, str(self.query.but(order=first)), "none")
        other = by if order == f"-{by}" else f"-{by}"
        is_sorted = "descending" if order.startswith("-") else "ascending"
        return Heading(column, text, str(self.query.but(order=other)), is_sorted)

    @property
    def looked_from(self) -> int:
        return self.query.start + 1

    @property
    def look_further(self) -> str:
        """The query that searches the next part of the index."""
        return str(self.query.but(start=self.looked_to)) if self.looked_to < self.of_all else ""

    @property
    def look_from_the_start(self) -> str:
        return str(self.query.but()) if self.query.start else ""

    @property
    def news(self) -> str:
        """A message about locks that are not shown; only a refresh has one."""
        return ""

    @property
    def selectable(self) -> int:
        """How many locks can be selected at once, on this page and beyond."""
        return min(self.result_count, self.at_once)

    @property
    def select_all_found(self) -> str:
        """The text of the button that selects more than the page; empty if the page shows all."""
        if self.selectable <= len(self.rows):
            return ""
        if self.selectable < self.result_count:
            return _("Select the first %(count)d found") % {"count": self.selectable}
        return _("Select all %(count)d found") % {"count": self.selectable}

    @property
    def selected_format(self) -> str:
        """The format in which the page's script shows how many locks are selected."""
        return _("%(count)d selected")

    @property
    def several_backends(self) -> bool:
        return len(self.aliases) > 1

    @property
    def multi_page(self) -> bool:
        return self.paginator.num_pages > 1

    @property
    def has_active_filters(self) -> bool:
        return self.query.narrowed

    @property
    def clear_all_filters_qs(self) -> str:
        return str(Query(order=self.query.order))

    @property
    def filter_specs(self) -> Sequence[Choices]:
        return choices_of(self.query, self.aliases, self.found)

    @property
    def search_params(self) -> dict[str, Any]:
        """The other parameters that the search form must keep."""
        return self.query.but(text="").params()

    @property
    def export_csv(self) -> str:
        """The query that exports the rows of this page."""
        return f"?{urlencode({**self.query.params(), 'format': 'csv'})}"

    @property
    def export_json(self) -> str:
        return f"?{urlencode({**self.query.params(), 'format': 'json'})}"

    def get_query_string(self, new_params: dict[str, Any]) -> str:
        """Return the query of another page, for Django's pagination tag."""
        (page,) = new_params.values()
        return str(self.query.but(page=page, start=self.query.start))
