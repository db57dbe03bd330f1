"""Charts of the last hour, as whole numbers for inline SVG: bars of counts, and lines of waits.

A chart is drawn in units of its own, ``SLOT_WIDTH`` of them for each slot, ``MINUTE_WIDTH`` for a
minute and ``HEIGHT`` in all, and stretched to the width of the page. Its texts are not stretched:
they are placed by percentages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..figures.tallies import BOUNDS, MINUTE, SLOT, Tally
from ..operations.formatting import brief

__all__ = [
    "MINUTE_WIDTH",
    "SLOT_WIDTH",
    "Bar",
    "Span",
    "Tick",
    "WaitLines",
    "bars",
    "count_ticks",
    "nice_top",
    "spans",
    "wait_lines",
]

SLOT_WIDTH, MINUTE_WIDTH, HEIGHT = 10, 4, 100

# Above the plot there is room (pixels) for the figure of the highest bar.
MARGIN = 14


class Span(NamedTuple):
    """A slot or a minute of a chart: where it begins, what was counted in it, in how long."""

    x: int
    width: int
    minutes: int
    tally: Tally

    @property
    def attempts(self) -> float:
        """How many attempts there were in a minute of it."""
        return (self.tally.acquired + self.tally.busy) / self.minutes

    @property
    def end(self) -> int:
        return self.x + self.width

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


class Bar(NamedTuple):
    """A span: how high its two counts stand, from the top, and where its figure goes."""

    x: int
    width: int
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
    """The waits of all spans, on a logarithmic scale: paths of SVG, and the ticks."""

    median: str
    p95: str
    longest: str
    ticks: list[Tick]


def spans(slots: Sequence[Tally], minutes: Sequence[Tally] = ()) -> list[Span]:
    """The slots, and after them these minutes, from left to right."""
    length = SLOT // MINUTE
    end = SLOT_WIDTH * len(slots)
    return [
        *(Span(n * SLOT_WIDTH, SLOT_WIDTH, length, one) for n, one in enumerate(slots)),
        *(Span(end + n * MINUTE_WIDTH, MINUTE_WIDTH, 1, one) for n, one in enumerate(minutes)),
    ]


def nice_top(most: float) -> int:
    """A round number that is no smaller: the end of a scale, half of which is a whole number."""
    power: int = 10 ** (len(str(math.ceil(most))) - 1)
    return next(step * power for step in (2, 4, 6, 8, 10, 20) if step * power >= most)


def bars(spans: Sequence[Span], top: float, end: int) -> list[Bar]:
    """A bar for each span, as high as its counts in a minute, on a scale that ends at ``top``.

    ``end`` is where the chart ends.
    """
    result = []
    for span in spans:
        # Rounded up, so that whatever there was can be seen.
        acquired, busy = (
            math.ceil(HEIGHT * count / span.minutes / top - 1e-9)
            for count in (span.tally.acquired, span.tally.busy)
        )
        acquired = min(acquired, HEIGHT - busy)
        busy_y = HEIGHT - acquired - busy
        # A bar of a minute is too narrow for it.
        has_figure = span.attempts and span.width >= SLOT_WIDTH
        result.append(
            Bar(
                x=span.x,
                width=span.width - 1,
                acquired_y=HEIGHT - acquired,
                acquired=acquired,
                busy_y=busy_y,
                busy=busy,
                figure=_short(span.attempts) if has_figure else "",
                # As the language of SVG has it, whatever that of the reader is.
                figure_x=f"{span.middle * 100 / end:.2f}%",
                figure_y=MARGIN + busy_y - 3,
            )
        )
    return result


def count_ticks(top: int) -> list[Tick]:
    """The ticks of a scale of counts: its end, its middle and zero."""
    return [_tick(HEIGHT - HEIGHT * n // top, _short(n)) for n in (top, top // 2, 0)]


def wait_lines(spans: Sequence[Span]) -> WaitLines:
    """The lines of p50, p95 and the longest wait; a span without a wait is a gap."""
    tallies = [span.tally for span in spans]
    middles = [span.middle for span in spans]
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
    median, p95 = (_line(middles, path) for path in paths[:2])
    return WaitLines(median, p95, _points(middles, paths[2]), ticks)


def _line(xs: Sequence[int], ys: Sequence[int | None]) -> str:
    """A line from span to span. A span between two gaps is a short line of its own."""
    path = ""
    for x, before, y, after in zip(xs, [None, *ys], ys, [*ys[1:], None], strict=False):
        if y is None:
            continue
        if before is after is None:
            path += f"M{x - 1} {y}h2"
        else:
            path += f"{'M' if before is None else 'L'}{x} {y}"
    return path


def _points(xs: Sequence[int], ys: Sequence[int | None]) -> str:
    return "".join(f"M{x} {y}h0" for x, y in zip(xs, ys, strict=True) if y is not None)


def _tick(y: int, text: str) -> Tick:
    return Tick(y, MARGIN + y + 4, text)


def _whole(seconds: float) -> str:
    """A power of ten in one unit, which is narrower than "1 min 40 s"."""
    return _("%(count)d s") % {"count": round(seconds)} if seconds >= 1 else brief(seconds)


def _short(count: float) -> str:
    """A count in the width of a bar."""
    for least, unit in ((10_000_000, "M"), (10_000, "k")):
        if count >= least:
            return f"{number_format(int(count * 10 // least))}{unit}"
    return number_format(count, decimal_pos=0 if count >= 10 or count == int(count) else 1)
