"""Hot names: the figures of the last hour, a row for each family of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple

from django.http import HttpRequest
from django.utils.formats import date_format, number_format
from django.utils.functional import cached_property
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..exceptions import readable
from ..figures.families import OTHER
from ..figures.tallies import SLOTS, Slot, Tally
from ..handler import lock_backends
from ..operations.asking import ask_all
from ..operations.selection import distinct
from ..operations.wording import brief
from .query import ORDER_VAR, Query

__all__ = ["HotNames"]

SHARES = (0.5, 0.95, 0.99)

# By what the rows can be sorted, most first: the counts, and the percentiles and the longest of the
# waits and of the holds.
ORDERS: dict[str, Callable[[Tally], float]] = {
    "acquired": lambda tally: tally.acquired,
    "busy": lambda tally: tally.busy,
    "lost": lambda tally: tally.lost,
    "wait50": lambda tally: tally.wait(0.5),
    "wait": lambda tally: tally.wait(0.95),
    "wait99": lambda tally: tally.wait(0.99),
    "longest_wait": lambda tally: tally.longest_wait,
    "hold50": lambda tally: tally.hold(0.5),
    "hold": lambda tally: tally.hold(0.95),
    "hold99": lambda tally: tally.hold(0.99),
    "longest_hold": lambda tally: tally.longest_hold,
}

# What the columns of percentiles are called, twice.
PERCENTILES = ("p50", "p95", "p99", "max")

# The height of the charts, in units of their own: whole numbers are the same in all languages.
HEIGHT = 100


class Bar(NamedTuple):
    """A slot in a chart: how high it stands, from the top, for each of the two counts."""

    x: int
    acquired_y: int
    acquired: int
    busy_y: int
    busy: int


@dataclass
class Row:
    """A family of one backend, and what was counted of it in each slot."""

    alias: str
    family: str
    slots: list[Tally] = field(default_factory=lambda: [Tally() for _ in range(SLOTS)])

    def __post_init__(self) -> None:
        self.name = _("all others") if self.family == OTHER else readable(self.family)
        self.tally = Tally()

    @property
    def search(self) -> str:
        """The query of the list for the names of this family."""
        if self.family == OTHER:
            return ""
        # A field of a template, and what was cut from a long one, may be anything.
        glob = re.sub(r"\{[^}]*\}|…$", "*", self.family)
        return str(Query(text=glob, backend=self.alias))

    def add(self, place: int, tally: Tally) -> None:
        self.slots[place].add(tally)
        self.tally.add(tally)

    @property
    def acquired(self) -> str:
        return number_format(self.tally.acquired)

    @property
    def busy(self) -> str:
        return number_format(self.tally.busy)

    @property
    def lost(self) -> str:
        return number_format(self.tally.lost)

    @property
    def waits(self) -> list[str]:
        """The percentiles, and the longest."""
        if not any(self.tally.waits):
            return []
        shares = [self.tally.wait(share) for share in SHARES]
        return [brief(seconds) for seconds in (*shares, self.tally.longest_wait)]

    @property
    def holds(self) -> list[str]:
        if not any(self.tally.holds):
            return []
        shares = [self.tally.hold(share) for share in SHARES]
        return [brief(seconds) for seconds in (*shares, self.tally.longest_hold)]

    @property
    def bars(self) -> list[Bar]:
        return _bars(self.slots)


class Sorting(NamedTuple):
    """What a heading that sorts says: where it leads, and the value of ``aria-sort``."""

    link: str
    sorted: str
    text: str = ""


class HotNames:
    """All that the page shows. A backend that does not answer is ``silent``."""

    def __init__(self, request: HttpRequest) -> None:
        wanted = request.GET.get(ORDER_VAR, "")
        self.order = wanted if wanted in ORDERS else "acquired"
        self.off: list[str] = []
        self.times: Sequence[str] = []
        self.several_backends = len(list(lock_backends)) > 1
        self._rows: dict[tuple[str, str], Row] = {}
        answers, self.silent = ask_all(
            distinct(lock_backends), lambda _alias, backend: backend.tallies()
        )
        for alias, slots in answers.items():
            self._add(alias, slots)

    def _add(self, alias: str, slots: Sequence[Slot]) -> None:
        if lock_backends[alias].meter is None:
            self.off.append(alias)
        self.times = [_time(slot) for slot in slots] or self.times
        for place, slot in enumerate(slots):
            for family, tally in slot.tallies.items():
                self._rows.setdefault((alias, family), Row(alias, family)).add(place, tally)

    @cached_property
    def rows(self) -> list[Row]:
        by = ORDERS[self.order]
        return sorted(self._rows.values(), key=lambda row: by(row.tally), reverse=True)

    def _sorting(self, order: str, text: str) -> Sorting:
        is_sorted = "descending" if order == self.order else "none"
        return Sorting(f"?{ORDER_VAR}={order}", is_sorted, text)

    @property
    def sorting(self) -> dict[str, Sorting]:
        """The headings of the counts."""
        texts = {"acquired": _("Acquired"), "busy": _("Busy"), "lost": _("Lost")}
        return {order: self._sorting(order, text) for order, text in texts.items()}

    @property
    def percentiles(self) -> list[Sorting]:
        """The headings of the waits, and then of the holds."""
        return list(map(self._sorting, list(ORDERS)[3:], PERCENTILES * 2))

    @property
    def most(self) -> str:
        """What the highest bar of the chart stands for."""
        most = max(tally.acquired + tally.busy for tally in self.sums)
        return _("At the most %(count)s in 5 minutes") % {"count": number_format(most)}

    @cached_property
    def sums(self) -> list[Tally]:
        sums = [Tally() for _ in range(SLOTS)]
        for row in self._rows.values():
            for whole, tally in zip(sums, row.slots, strict=True):
                whole.add(tally)
        return sums

    @property
    def chart(self) -> list[tuple[Bar, str]]:
        """A bar for each slot, and its title."""
        return list(zip(_bars(self.sums), map(_title, self.times, self.sums), strict=True))

    @property
    def in_words(self) -> str:
        """The chart for those who do not see it."""
        counts = ", ".join(str(tally.acquired) for tally in self.sums)
        return _("Acquisitions every 5 minutes, the latest last: %(counts)s") % {"counts": counts}


def _bars(tallies: Sequence[Tally]) -> list[Bar]:
    most = max(1, *(tally.acquired + tally.busy for tally in tallies))
    bars = []
    for place, tally in enumerate(tallies):
        # Rounded up, so that whatever there was can be seen.
        acquired, busy = (-(-HEIGHT * count // most) for count in (tally.acquired, tally.busy))
        acquired = min(acquired, HEIGHT - busy)
        bars.append(Bar(place * 10, HEIGHT - acquired, acquired, HEIGHT - acquired - busy, busy))
    return bars


def _title(time: str, tally: Tally) -> str:
    return _("%(time)s: %(acquired)s acquired, %(busy)s busy") % {
        "time": time,
        "acquired": number_format(tally.acquired),
        "busy": number_format(tally.busy),
    }


def _time(slot: Slot) -> str:
    began = datetime.fromtimestamp(slot.start, tz=timezone.utc)
    return date_format(localtime(began), "TIME_FORMAT")
