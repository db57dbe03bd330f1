"""Charts of the hot names: acquisitions of all locks, and the waits for them.

They show the last hour in slots of five minutes, and the last two slots minute by minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cached_property

from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..figures.tallies import MINUTE, MINUTES, SLOTS, Tally
from ..operations.formatting import brief
from .charts import (
    MINUTE_WIDTH,
    SLOT_WIDTH,
    Bar,
    Span,
    Tick,
    WaitLines,
    bars,
    count_ticks,
    nice_top,
    spans,
    wait_lines,
)

__all__ = ["Charts", "time_of"]

# How many slots are shown as whole slots; the others are shown by the minute.
COARSE = SLOTS - 2


class Charts:
    """``starts``: the start times of the slots. ``minutes``: the minutes of the last two slots, up
    to the current one.
    """

    minutes_from = COARSE * SLOT_WIDTH
    width = minutes_from + MINUTES * MINUTE_WIDTH

    def __init__(
        self, starts: Sequence[int], slots: Sequence[Tally], minutes: Sequence[Tally]
    ) -> None:
        self._slots = slots
        self._minutes = minutes
        self.spans = spans(slots[:COARSE], minutes)
        # Labels of the axis, and part of each span's title.
        self.times = [time_of(start) for start in starts]
        fine = [time_of(starts[COARSE] + place * MINUTE) for place in range(len(minutes))]
        self._all_times = [*self.times[:COARSE], *fine]

    @cached_property
    def top(self) -> int:
        """The end of the counts' scale."""
        return nice_top(max(1, *(span.attempts for span in self.spans)))

    @property
    def counts(self) -> list[tuple[Span, Bar, str]]:
        """Each span with its bar and its title."""
        titles = map(_title, self._all_times, self.spans)
        return list(zip(self.spans, bars(self.spans, self.top, self.width), titles, strict=True))

    @property
    def ticks(self) -> list[Tick]:
        return count_ticks(self.top)

    @property
    def waits(self) -> WaitLines:
        return wait_lines(self.spans)

    @property
    def wait_titles(self) -> list[tuple[Span, str]]:
        """Each span with its title in the chart of the waits."""
        titles = map(_wait_title, self._all_times, self.spans)
        return list(zip(self.spans, titles, strict=True))

    @property
    def in_words(self) -> str:
        """A text alternative to the chart of the counts, for screen readers."""
        return _("Acquisitions every 5 minutes: %(counts)s. In the last minutes: %(minutes)s") % {
            "counts": ", ".join(str(tally.acquired) for tally in self._slots),
            "minutes": ", ".join(str(tally.acquired) for tally in self._minutes),
        }

    @property
    def waits_in_words(self) -> str:
        """A text alternative to the chart of the waits, for screen readers."""
        return _("p95 of waits every 5 minutes: %(waits)s. In the last minutes: %(minutes)s") % {
            "waits": ", ".join(map(_wait95, self._slots)),
            "minutes": ", ".join(map(_wait95, self._minutes)),
        }


def _wait95(tally: Tally) -> str:
    return brief(tally.wait(0.95)) if any(tally.waits) else _("none")


def time_of(start: int) -> str:
    """Format a timestamp as a time of day in the current time zone, as short as an axis needs."""
    return date_format(localtime(datetime.fromtimestamp(start, timezone.utc)), "H:i")


def _title(time: str, span: Span) -> str:
    return _("%(time)s: %(acquired)s acquired, %(busy)s busy") % {
        "time": time,
        "acquired": number_format(span.tally.acquired),
        "busy": number_format(span.tally.busy),
    }


def _wait_title(time: str, span: Span) -> str:
    tally = span.tally
    if not any(tally.waits):
        return _("%(time)s: no waits") % {"time": time}
    return _("%(time)s: p50 %(p50)s, p95 %(p95)s, max %(longest)s") % {
        "time": time,
        "p50": brief(tally.wait(0.5)),
        "p95": brief(tally.wait(0.95)),
        "longest": brief(tally.longest_wait),
    }
