"""Hot names: the figures of the last hour, with a row for each family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from django.contrib.admin.views.main import ORDER_VAR
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..exceptions import readable
from ..figures.families import OTHER
from ..figures.tallies import MINUTE, MINUTES, SLOTS, Minute, Slot, Tally
from ..handler import lock_backends
from ..operations.asking import ask_all
from ..operations.formatting import brief
from ..operations.selection import distinct
from .charts import Bar, bars, spans
from .hot_charts import Charts, time_of
from .query import Heading, Query

__all__ = ["HotNames"]

Figures: TypeAlias = "dict[str, Callable[[Tally], float]]"

# Figures by which rows can be sorted, highest first: the counts, and the percentiles and maxima of
# waits and holds.
COUNTS: Figures = {
    "acquired": lambda tally: tally.acquired,
    "busy": lambda tally: tally.busy,
    "lost": lambda tally: tally.lost,
}
WAITS: Figures = {
    "wait50": lambda tally: tally.wait(0.5),
    "wait": lambda tally: tally.wait(0.95),
    "wait99": lambda tally: tally.wait(0.99),
    "longest_wait": lambda tally: tally.longest_wait,
}
HOLDS: Figures = {
    "hold50": lambda tally: tally.hold(0.5),
    "hold": lambda tally: tally.hold(0.95),
    "hold99": lambda tally: tally.hold(0.99),
    "longest_hold": lambda tally: tally.longest_hold,
}
FIGURES = COUNTS | WAITS | HOLDS

# Texts by which rows can be sorted, in alphabetical order.
TEXTS: dict[str, Callable[[Row], tuple[str, str]]] = {
    "name": lambda row: (row.name, row.alias),
    "backend": lambda row: (row.alias, row.name),
}

# Titles of the percentile columns, used for the waits and again for the holds.
TITLES = ("p50", "p95", "p99", "max")

# How many families a ranking shows.
RANKED = 3

# Parts of a family that a glob for its names cannot take over: a field of the template, a doubled
# brace (single in names), the end of a truncated family, and a bracket, which would begin a set.
NOT_LITERAL = re.compile(r"\{[^}]*\}|\}\}|…$|\[")


@dataclass
class Row:
    """A family of one backend, and its figures in each slot and in all of them."""

    alias: str
    family: str
    slots: list[Tally] = field(default_factory=lambda: [Tally() for _ in range(SLOTS)])
    tally: Tally = field(default_factory=Tally)

    @property
    def name(self) -> str:
        return _("all others") if self.family == OTHER else readable(self.family)

    @property
    def search(self) -> str:
        """The query that lists the names of this family."""
        if self.family == OTHER:
            return ""
        return str(Query(text=NOT_LITERAL.sub(_as_glob, self.family), backend=self.alias))

    def add(self, place: int, tally: Tally) -> None:
        self.slots[place].add(tally)
        self.tally.add(tally)

    @property
    def waits(self) -> list[str]:
        """The percentiles of the waits, and the longest wait; none if there were no waits."""
        return self._percentiles(WAITS) if any(self.tally.waits) else []

    @property
    def holds(self) -> list[str]:
        return self._percentiles(HOLDS) if any(self.tally.holds) else []

    def _percentiles(self, figures: Figures) -> list[str]:
        return [brief(figure(self.tally)) for figure in figures.values()]

    @property
    def bars(self) -> list[Bar]:
        parts = spans(self.slots)
        top = max(span.attempts for span in parts)
        return bars(parts, top or 1, parts[-1].end)

    @property
    def longest_wait(self) -> str:
        return brief(self.tally.longest_wait)

    @property
    def longest_wait_place(self) -> int:
        """The slot of the longest wait."""
        waits = [tally.longest_wait for tally in self.slots]
        return waits.index(max(waits))

    @property
    def refused(self) -> str:
        """How many of the attempts found the lock busy."""
        return _("%(busy)s of %(attempts)s attempts") % {
            "busy": number_format(self.tally.busy),
            "attempts": number_format(self.tally.acquired + self.tally.busy),
        }


class HotNames:
    """The content of the page. Backends that do not answer are in ``silent``."""

    def __init__(self, request: HttpRequest) -> None:
        wanted = request.GET.get(ORDER_VAR, "")
        self.order = wanted if wanted in FIGURES or wanted in TEXTS else "acquired"
        self.off: list[str] = []
        self.starts: Sequence[int] = []
        self.several_backends = len(list(lock_backends)) > 1
        self._rows: dict[tuple[str, str], Row] = {}
        # Figures of all families for each of the last minutes, including the current one.
        self.minutes: list[Tally] = []
        answers, self.silent = ask_all(
            distinct(lock_backends),
            lambda _alias, backend: (backend.tallies(), backend.minutes()),
        )
        for alias, (slots, minutes) in answers.items():
            self._add(alias, slots, minutes)

    def _add(self, alias: str, slots: Sequence[Slot], minutes: Sequence[Minute]) -> None:
        if lock_backends[alias].meter is None:
            self.off.append(alias)
        self.starts = [slot.start for slot in slots] or self.starts
        for place, slot in enumerate(slots):
            for family, tally in slot.tallies.items():
                self._rows.setdefault((alias, family), Row(alias, family)).add(place, tally)
        # Only minutes of the last two slots. The clocks of two servers may differ.
        for minute in minutes if slots else ():
            place = (minute.start - slots[-2].start) // MINUTE
            if 0 <= place < MINUTES:
                self.minutes += [Tally() for _ in range(len(self.minutes), place + 1)]
                self.minutes[place].add(minute.tally)

    @cached_property
    def rows(self) -> list[Row]:
        rows = self._rows.values()
        if self.order in TEXTS:
            return sorted(rows, key=TEXTS[self.order])
        by = FIGURES[self.order]
        return sorted(rows, key=lambda row: by(row.tally), reverse=True)

    def _heading(self, order: str, text: str) -> Heading:
        is_sorted = "ascending" if order in TEXTS else "descending"
        link = f"?{ORDER_VAR}={order}"
        return Heading(order, text, link, is_sorted if order == self.order else "none")

    @property
    def headings(self) -> dict[str, Heading]:
        """The headings of the texts and of the counts."""
        texts = {
            "name": _("Names"),
            "backend": _("Backend"),
            "acquired": _("Acquired"),
            "busy": _("Busy"),
            "lost": _("Lost"),
        }
        return {order: self._heading(order, text) for order, text in texts.items()}

    @property
    def percentiles(self) -> list[Heading]:
        """The headings of the waits, followed by those of the holds."""
        return list(map(self._heading, WAITS | HOLDS, TITLES * 2))

    @property
    def longest_waits(self) -> list[tuple[Row, str]]:
        """The families with the longest waits, and the start of the slot of each."""
        ranked = _ranked(self._rows.values(), lambda row: row.tally.longest_wait)
        return [(row, time_of(self.starts[row.longest_wait_place])) for row in ranked]

    @property
    def refused(self) -> list[Row]:
        """The families with the most busy attempts."""
        return _ranked(self._rows.values(), lambda row: row.tally.busy)

    @cached_property
    def charts(self) -> Charts:
        rows = self._rows.values()
        sums = [Tally.sum_of(row.slots[place] for row in rows) for place in range(SLOTS)]
        return Charts(self.starts, sums, self.minutes)


def _as_glob(found: re.Match[str]) -> str:
    return "[[]" if found[0] == "[" else "*"


def _ranked(rows: Iterable[Row], by: Callable[[Row], float]) -> list[Row]:
    """Return the rows with the highest values above zero, highest first."""
    return sorted(filter(by, rows), key=by, reverse=True)[:RANKED]
