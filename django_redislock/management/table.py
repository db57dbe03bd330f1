"""Table of live holds for a terminal: one line each, within a given width."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.core.management.color import Style
from django.utils.translation import gettext as _

from ..operations.formatting import Line

__all__ = ["Table", "cut", "lines_of"]

GAP = "  "

# Minimum widths of a name, a holder and a state in a narrow terminal, and the width that each of
# them needs before EXTRA columns are shown.
NAME, HOLDER, STATE = 14, 8, 12
ROOM_TO_READ = 24
# Columns of this rank and higher.
EXTRA = 5

# Unicode categories without a width: combining marks, joiners and non-joiners.
WITHOUT_A_PLACE = ("Mn", "Me", "Cf")

# Widest column if the first line is written before all lines are known. A longer cell shifts the
# rest of its own line.
WIDEST = 60


@dataclass(frozen=True)
class Column:
    """``rank``: if there is no room for all columns, those of higher rank are dropped first; 0
    always stays.

    ``least``: the width to which the column may be cut; 0 if it may not be. ``role``: a role of
    Django's colour palette.
    """

    heading: str
    cell: Callable[[Line], str]
    rank: int = 0
    least: int = 0
    right: bool = False
    role: Callable[[Line], str] = lambda line: ""


class Table:
    """A table whose columns and widths are chosen to fit ``sample``."""

    def __init__(
        self,
        sample: Sequence[Line],
        width: int | None,
        style: Style,
        encoding: str,
        *,
        with_alias: bool | None = None,
    ) -> None:
        """``width``: the maximum width of a line, if there is one. ``encoding``: that of the stream
        to which the lines are written. ``with_alias``: whether to show the backends; only given if
        the sample lacks lines of the table.
        """
        self._style = style
        self._encoding = encoding
        self._cuts = width is not None
        several = len({line.alias for line in sample}) > 1
        self._columns = _columns(with_alias=several if with_alias is None else with_alias)
        rows = [self._headings, *map(self._cells, sample)]
        self._widths = [max(map(_cells, cells)) for cells in zip(*rows, strict=True)]
        if width is None:
            if with_alias is not None:
                self._widths = [min(one, WIDEST) for one in self._widths]
            return
        while not _shrink(self._widths, self._columns, width):
            last = max(range(len(self._columns)), key=lambda place: self._columns[place].rank)
            del self._columns[last], self._widths[last]

    def lines(self, lines: Iterable[Line]) -> Iterator[str]:
        """Yield the heading, and a line for each hold."""
        yield self.heading
        yield from map(self.line, lines)

    @property
    def heading(self) -> str:
        return self._line(self._headings, ["MIGRATE_HEADING"] * len(self._columns))

    def line(self, line: Line) -> str:
        return self._line(self._cells(line), [column.role(line) for column in self._columns])

    @property
    def _headings(self) -> list[str]:
        return [encoded(column.heading, self._encoding) for column in self._columns]

    def _cells(self, line: Line) -> list[str]:
        return [encoded(column.cell(line), self._encoding) for column in self._columns]

    def _line(self, cells: list[str], roles: list[str]) -> str:
        if self._cuts:
            cells = [
                cut(cell, width, self._encoding)
                for cell, width in zip(cells, self._widths, strict=True)
            ]
        padded = list(map(_pad, cells, self._widths, self._columns))
        padded[-1] = padded[-1].rstrip()
        return GAP.join(map(self._coloured, padded, roles)).rstrip()

    def _coloured(self, text: str, role: str) -> str:
        return str(getattr(self._style, role)(text)) if role else text


def encoded(text: str, encoding: str) -> str:
    """Return the text as a stream shows it that escapes the characters that its encoding lacks."""
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def lines_of(text: str, width: int, encoding: str) -> int:
    """Return how many lines of a terminal the text takes."""
    return max(1, -(-_cells(encoded(text, encoding)) // width))


def _columns(*, with_alias: bool) -> list[Column]:
    columns = [
        Column(_("NAME"), lambda line: line.name, least=NAME),
        Column(_("LEFT"), lambda line: line.remaining, rank=2, right=True),
        Column(_("HOLDER"), lambda line: line.holder, rank=4, least=HOLDER),
        Column(_("HELD FOR"), lambda line: line.held_for, rank=6, right=True),
        Column(
            _("WAITERS"),
            lambda line: str(line.waiters),
            rank=3,
            right=True,
            role=lambda line: "WARNING" if line.waiters else "",
        ),
        Column(_("LONGEST"), lambda line: line.longest_wait, rank=7, right=True),
        Column(
            _("STATE"),
            lambda line: line.ended or line.state,
            rank=1,
            least=STATE,
            role=lambda line: "ERROR" if line.in_trouble else "",
        ),
        Column(_("LIMIT"), lambda line: line.limit, rank=8, right=True),
        Column(_("FENCE"), lambda line: line.fence, rank=9, right=True),
    ]
    if with_alias:
        columns.insert(1, Column(_("BACKEND"), lambda line: line.alias, rank=5))
    return columns


def _shrink(widths: list[int], columns: Sequence[Column], width: int) -> bool:
    """Cut columns that may be cut until all fit. False if a column must be dropped instead."""
    flexible = [place for place, column in enumerate(columns) if column.least]
    needs = {place: widths[place] for place in flexible}
    has_extra = any(column.rank >= EXTRA for column in columns)
    for place in flexible:
        least = ROOM_TO_READ if has_extra else columns[place].least
        widths[place] = min(widths[place], least)
    room = width - sum(widths) - len(GAP) * (len(widths) - 1)
    if room < 0:
        if len(columns) > 1:
            widths[:] = [needs.get(place, one) for place, one in enumerate(widths)]
            return False
        widths[0] = width
    # Columns that need little more get it, and the others share the rest.
    missing = sorted((needs[place] - widths[place], place) for place in flexible)
    for number, (more, place) in enumerate(missing):
        given = max(0, min(more, room // (len(missing) - number)))
        widths[place] += given
        room -= given
    return True


def _pad(cell: str, width: int, column: Column) -> str:
    padding = " " * (width - _cells(cell))
    return padding + cell if column.right else cell + padding


def cut(text: str, width: int | None, encoding: str) -> str:
    """Cut a text that a terminal of this width cannot show in one line."""
    text = encoded(text, encoding)
    if width is None or _cells(text) <= width:
        return text
    kept, room = "", width - 1
    for char in text:
        room -= _cells(char)
        if room < 0:
            break
        kept += char
    return kept + ("…" if encoded("…", encoding) == "…" else "~")


def _cells(text: str) -> int:
    """Return how many cells of a terminal the text takes: some characters take two, some none."""
    return sum(
        1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
        if unicodedata.category(char) not in WITHOUT_A_PLACE
    )
