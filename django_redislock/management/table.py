"""Live holds as a table for a terminal: one line each, no wider than asked for."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.core.management.base import OutputWrapper
from django.utils.translation import gettext as _

from ..operations.selection import Found
from ..operations.wording import Line

__all__ = ["table", "width_of"]

GAP = "  "

# How many characters the names and the holders need to be of use; other columns go before them.
ROOM_TO_READ = 24

# Where nothing is cut, a longer cell pushes its own line aside, and not all the others.
WIDEST = 60


@dataclass(frozen=True)
class Column:
    """``rank``: which columns go first where there is no room for all; 0 stays and shrinks."""

    heading: str
    cell: Callable[[Line], str]
    rank: int = 0
    right: bool = False


def table(found: Sequence[Found], width: int | None) -> list[str]:
    """The heading and a line for each hold, ``width`` characters wide at the most, if given."""
    lines = [Line.of(one) for one in found]
    columns = _columns(with_alias=len({line.alias for line in lines}) > 1)
    while True:
        rows = [[column.heading for column in columns]]
        rows += [[column.cell(line) for column in columns] for line in lines]
        widths = [max(map(_cells, cells)) for cells in zip(*rows, strict=True)]
        if width is None:
            return [_row(row, [min(one, WIDEST) for one in widths], columns) for row in rows]
        if _shrink(widths, columns, width):
            rows = [list(map(_cut, row, widths)) for row in rows]
            return [_row(row, widths, columns) for row in rows]
        columns.remove(max(columns, key=lambda column: column.rank))


def width_of(stream: OutputWrapper) -> int | None:
    """The width of the terminal; None for a file or a pipe, where nothing needs to be cut."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def _columns(*, with_alias: bool) -> list[Column]:
    columns = [
        Column(_("NAME"), lambda line: line.name),
        Column(_("LEFT"), lambda line: line.remaining, rank=1, right=True),
        Column(_("HOLDER"), lambda line: line.holder),
        Column(_("HELD FOR"), lambda line: line.held_for, rank=3, right=True),
        Column(_("WAITERS"), lambda line: str(line.waiters), rank=2, right=True),
        Column(_("LIMIT"), lambda line: line.limit, rank=5, right=True),
        Column(_("FENCE"), lambda line: line.fence, rank=6, right=True),
    ]
    if with_alias:
        columns.insert(1, Column(_("BACKEND"), lambda line: line.alias, rank=4))
    return columns


def _shrink(widths: list[int], columns: Sequence[Column], width: int) -> bool:
    """Cut the columns of rank 0 until all fit. False if another column should go instead."""
    flexible = [place for place, column in enumerate(columns) if not column.rank]
    room = width - sum(widths) - len(GAP) * (len(widths) - 1)
    room += sum(widths[place] for place in flexible)
    needed = sum(min(widths[place], ROOM_TO_READ) for place in flexible)
    if room < needed and len(flexible) < len(columns):
        return False
    # The shorter ones keep what they need, and the longer ones share the rest.
    for left, place in zip(
        range(len(flexible), 0, -1), sorted(flexible, key=widths.__getitem__), strict=True
    ):
        widths[place] = max(1, min(widths[place], room // left))
        room -= widths[place]
    return True


def _row(cells: Iterable[str], widths: Iterable[int], columns: Iterable[Column]) -> str:
    padded = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        padding = " " * (width - _cells(cell))
        padded.append(padding + cell if column.right else cell + padding)
    return GAP.join(padded).rstrip()


def _cut(text: str, width: int) -> str:
    if _cells(text) <= width:
        return text
    kept, room = "", width - 1
    for char in text:
        room -= _cells(char)
        if room < 0:
            break
        kept += char
    return kept + "…"


def _cells(text: str) -> int:
    """How many places of a terminal the text takes: some characters take two, some none."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
