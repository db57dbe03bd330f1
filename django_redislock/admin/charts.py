"""Charts of the last hour, as whole numbers for inline SVG: bars of counts, and lines of waits.

A chart is drawn in units of its own, ``WIDTH`` of them for each slot and ``HEIGHT`` in all, and
stretched to the width of the page. Its texts are not stretched: they are placed by percentages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..figures.tallies import BOUNDS, Tally
from ..operations.formatting import brief

__all__ = ["HEIGHT", "Bar", "Tick", "WaitLines", "bars", "count_ticks", "nice_top", "wait_lines"]

WIDTH, HEIGHT = 10, 100

# Above the plot there is room (pixels) for the figure of the highest bar.
MARGIN = 14


class Bar(NamedTuple):
    """A slot: how high its two counts stand, from the top, and where its figure goes."""

    x: int
    acquired_y: int
    acquired: int
    busy_y: int
    busy: int
    figure: str
    figure_x: str
    figure_y: int


class Tick(NamedTuple):
    """A line of a scale, and its text, which stands ``text_y`` pixels below the top."""

    y: int
    text_y: int
    text: str


class WaitLines(NamedTuple):
    """The waits of all slots, on a logarithmic scale: paths of SVG, and the ticks."""

    median: str
    p95: str
    longest: str
    ticks: list[Tick]


def nice_top(most: int) -> int:
    """A round number that is no smaller: the end of a scale, half of which is a whole number."""
    power: int = 10 ** (len(str(most)) - 1)
    return next(step * power for step in (2, 4, 6, 8, 10, 20) if step * power >= most)


def bars(tallies: Sequence[Tally], top: int) -> list[Bar]:
    """A bar for each slot, on a scale that ends at ``top``."""
    result = []
    for place, tally in enumerate(tallies):
        # Rounded up, so that whatever there was can be seen.
        acquired, busy = (-(-HEIGHT * count // top) for count in (tally.acquired, tally.busy))
        acquired = min(acquired, HEIGHT - busy)
        busy_y = HEIGHT - acquired - busy
        count = tally.acquired + tally.busy
        result.append(
            Bar(
                x=place * WIDTH,
                acquired_y=HEIGHT - acquired,
                acquired=acquired,
                busy_y=busy_y,
                busy=busy,
                figure=_short(count) if count else "",
                # As the language of SVG has it, whatever that of the reader is.
                figure_x=f"{(place + 0.5) * 100 / len(tallies):.2f}%",
                figure_y=MARGIN + busy_y - 3,
            )
        )
    return result


def count_ticks(top: int) -> list[Tick]:
    """The ticks of a scale of counts: its end, its middle and zero."""
    return [_tick(HEIGHT - HEIGHT * n // top, _short(n)) for n in (top, top // 2, 0)]


def wait_lines(tallies: Sequence[Tally]) -> WaitLines:
    """The lines of p50, p95 and the longest wait; a slot without a wait is a gap."""
    longest = max(tally.longest_wait for tally in tallies)
    decades = max(2, math.ceil(math.log10(max(longest, BOUNDS[0]) / BOUNDS[0]) - 1e-9))

    def y_of(seconds: float) -> int:
        share = math.log10(max(seconds, BOUNDS[0]) / BOUNDS[0]) / decades
        return round(HEIGHT * (1 - share))

    waited = [any(tally.waits) for tally in tallies]
    paths = [
        [y_of(seconds) if one else None for one, seconds in zip(waited, values, strict=True)]
        for values in (
            [tally.wait(0.5) for tally in tallies],
            [tally.wait(0.95) for tally in tallies],
            [tally.longest_wait for tally in tallies],
        )
    ]
    ticks = [
        _tick(HEIGHT - HEIGHT * decade // decades, _whole(BOUNDS[0] * 10**decade))
        for decade in range(decades, -1, -1)
    ]
    median, p95 = (_line(path) for path in paths[:2])
    return WaitLines(median, p95, _points(paths[2]), ticks)


def _line(ys: Sequence[int | None]) -> str:
    """A line from slot to slot. A slot between two gaps is a point, which a round cap shows."""
    path = ""
    before: int | None = None
    for place, y in enumerate(ys):
        if y is not None:
            path += f"{'M' if before is None else 'L'}{place * WIDTH + WIDTH // 2} {y}h0"
        before = y
    return path


def _points(ys: Sequence[int | None]) -> str:
    places = [(place * WIDTH + WIDTH // 2, y) for place, y in enumerate(ys) if y is not None]
    return "".join(f"M{x} {y}h0" for x, y in places)


def _tick(y: int, text: str) -> Tick:
    return Tick(y, MARGIN + y + 4, text)


def _whole(seconds: float) -> str:
    """A power of ten in one unit, which is narrower than "1 min 40 s"."""
    return _("%(count)d s") % {"count": round(seconds)} if seconds >= 1 else brief(seconds)


def _short(count: int) -> str:
    """A count in the width of a bar."""
    for least, unit in ((10_000_000, "M"), (10_000, "k")):
        if count >= least:
            return f"{number_format(count * 10 // least)}{unit}"
    return number_format(count)
