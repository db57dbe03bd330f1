"""Charts of the last hour, as whole numbers for inline SVG: bars of counts, and lines of waits.

A chart has its own units: a slot is ``SLOT_WIDTH`` wide, a minute ``MINUTE_WIDTH``, and the whole
chart is ``HEIGHT`` high. It is stretched to the width of the page. Texts are not stretched, but
placed by percentages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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

# Room (pixels) above the plot for the figure of the highest bar.
MARGIN = 14


class Span(NamedTuple):
    """A slot or a minute of a chart: its position, its length in minutes, and its counts."""

    x: int
    width: int
    minutes: int
    tally: Tally

    @property
    def attempts(self) -> float:
        """The number of attempts per minute."""
        return (self.tally.acquired + self.tally.busy) / self.minutes

    @property
    def end(self) -> int:
        return self.x + self.width

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


class Bar(NamedTuple):
    """The bar of a span: the tops and heights of its two counts, and its figure's position."""

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
    """A line of a scale, and its text, which is placed ``text_y`` pixels below the top."""

    y: int
    text_y: int
    text: str


class WaitLines(NamedTuple):
    """The waits of all spans on a logarithmic scale, as SVG paths, and the ticks of the scale."""

    median: str
    p95: str
    longest: str
    ticks: list[Tick]


def spans(slots: Sequence[Tally], minutes: Sequence[Tally] = ()) -> list[Span]:
    """Return the spans of these slots, followed by those of these minutes, from left to right."""
    length = SLOT // MINUTE
    end = SLOT_WIDTH * len(slots)
    return [
        *(Span(n * SLOT_WIDTH, SLOT_WIDTH, length, one) for n, one in enumerate(slots)),
        *(Span(end + n * MINUTE_WIDTH, MINUTE_WIDTH, 1, one) for n, one in enumerate(minutes)),
    ]


def nice_top(most: float) -> int:
    """Return the end of a scale: a round, even number that is not smaller than ``most``."""
    power: int = 10 ** (len(str(math.ceil(most))) - 1)
    return next(step * power for step in (2, 4, 6, 8, 10, 20) if step * power >= most)


def bars(spans: Sequence[Span], top: float, end: int) -> list[Bar]:
    """Return a bar for each span. It shows counts per minute on a scale that ends at ``top``.

    ``end`` is the width of the chart.
    """
    result = []
    for span in spans:
        # Rounded up, so that even the smallest count is visible.
        acquired, busy = (
            math.ceil(HEIGHT * count / span.minutes / top - 1e-9)
            for count in (span.tally.acquired, span.tally.busy)
        )
        acquired = min(acquired, HEIGHT - busy)
        busy_y = HEIGHT - acquired - busy
        # The bar of a minute is too narrow for a figure.
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
                # SVG needs a decimal point, so this is not localized.
                figure_x=f"{span.middle * 100 / end:.2f}%",
                figure_y=MARGIN + busy_y - 3,
            )
        )
    return result


def count_ticks(top: int) -> list[Tick]:
    """Return the ticks of a scale of counts: its end, its middle and zero."""
    return [_tick(HEIGHT - HEIGHT * n // top, _short(n)) for n in (top, top // 2, 0)]


def wait_lines(spans: Sequence[Span]) -> WaitLines:
    """Return the lines of p50, p95 and the longest wait, with a gap for a span without waits."""
    tallies = [span.tally for span in spans]
    middles = [span.middle for span in spans]
    longest = max(tally.longest_wait for tally in tallies)
    decades = max(2, math.ceil(math.log10(max(longest, BOUNDS[0]) / BOUNDS[0]) - 1e-9))

    def y_of(seconds: float) -> int:
        share = math.log10(max(seconds, BOUNDS[0]) / BOUNDS[0]) / decades
        return round(HEIGHT * (1 - share))

    def ys(figure: Callable[[Tally], float]) -> list[int | None]:
        return [y_of(figure(tally)) if any(tally.waits) else None for tally in tallies]

    ticks = [
        _tick(HEIGHT - HEIGHT * decade // decades, _whole(BOUNDS[0] * 10**decade))
        for decade in range(decades, -1, -1)
    ]
    return WaitLines(
        _line(middles, ys(lambda tally: tally.wait(0.5))),
        _line(middles, ys(lambda tally: tally.wait(0.95))),
        _points(middles, ys(lambda tally: tally.longest_wait)),
        ticks,
    )


def _line(xs: Sequence[int], ys: Sequence[int | None]) -> str:
    """Return a path from span to span. A span between two gaps becomes a short line."""
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
    """Format a power of ten in a single unit, which is narrower than "1 min 40 s"."""
    return _("%(count)d s") % {"count": round(seconds)} if seconds >= 1 else brief(seconds)


def _short(count: float) -> str:
    """Format a count so that it fits the width of a bar."""
    for least, unit in ((10_000_000, "M"), (10_000, "k")):
        if count >= least:
            return f"{number_format(int(count * 10 // least))}{unit}"
    return number_format(count, decimal_pos=0 if count >= 10 or count == int(count) else 1)
