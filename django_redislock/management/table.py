"""Live holds as a table for a terminal: one line each, no wider than asked for."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.core.management.base import OutputWrapper
from django.core.management.color import Style
from django.utils.translation import gettext as _

from ..operations.wording import Line

__all__ = ["Table", "can_write_all", "height_of", "width_of"]

GAP = "  "

# How many characters the names and the holders need to be of use; other columns go before them.
ROOM_TO_READ = 24

# Marks on the character before, and what joins characters or keeps them apart.
WITHOUT_A_PLACE = ("Mn", "Me", "Cf")

# Where nothing is cut, a longer cell pushes its own line aside, and not all the others.
WIDEST = 60


@dataclass(frozen=True)
class Column:
    """``rank``: which columns go first where there is no room for all; 0 stays and shrinks.

    ``role``: one of Django's, for its colour.
    """

    heading: str
    cell: Callable[[Line], str]
    rank: int = 0
    right: bool = False
    role: Callable[[Line], str] = lambda line: ""


class Table:
    """The columns and their widths are those that suit ``sample``."""

    def __init__(
        self,
        sample: Sequence[Line],
        width: int | None,
        style: Style,
        *,
        with_alias: bool | None = None,
    ) -> None:
        """``width``: how wide a line may be at the most, if that matters."""
        self._style = style
        self._cuts = width is not None
        if with_alias is None:
            with_alias = len({line.alias for line in sample}) > 1
        self._columns = _columns(with_alias=with_alias)
        rows = [self._headings, *map(self._cells, sample)]
        self._widths = [max(map(_cells, cells)) for cells in zip(*rows, strict=True)]
        if width is None:
            self._widths = [min(one, WIDEST) for one in self._widths]
            return
        while not _shrink(self._widths, self._columns, width):
            last = max(range(len(self._columns)), key=lambda place: self._columns[place].rank)
            del self._columns[last], self._widths[last]

    def lines(self, lines: Iterable[Line]) -> Iterator[str]:
        """The heading, and a line for each hold."""
        yield self._line(self._headings, ["MIGRATE_HEADING"] * len(self._columns))
        for line in lines:
            yield self._line(self._cells(line), [column.role(line) for column in self._columns])

    @property
    def _headings(self) -> list[str]:
        return [column.heading for column in self._columns]

    def _cells(self, line: Line) -> list[str]:
        return [column.cell(line) for column in self._columns]

    def _line(self, cells: list[str], roles: list[str]) -> str:
        if self._cuts:
            cells = list(map(_cut, cells, self._widths))
        padded = list(map(_pad, cells, self._widths, self._columns))
        padded[-1] = padded[-1].rstrip()
        return GAP.join(map(self._coloured, padded, roles)).rstrip()

    def _coloured(self, text: str, role: str) -> str:
        return str(getattr(self._style, role)(text)) if role else text


def can_write_all(stream: OutputWrapper) -> None:
    """Let a stream write escapes for characters that its encoding lacks, where it would raise."""
    # Not every stream encodes what it is given.
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def height_of(stream: OutputWrapper) -> int | None:
    """How many lines the terminal shows; None for a file or a pipe."""
    return shutil.get_terminal_size().lines if stream.isatty() else None


def width_of(stream: OutputWrapper) -> int | None:
    """The width of the terminal; None for a file or a pipe, where nothing needs to be cut."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def _columns(*, with_alias: bool) -> list[Column]:
    columns = [
        Column(_("NAME"), lambda line: line.name),
        Column(_("LEFT"), lambda line: line.remaining, rank=1, right=True),
        Column(_("HOLDER"), lambda line: line.holder),
        Column(_("HELD FOR"), lambda line: line.held_for, rank=3, right=True),
        Column(
            _("WAITERS"),
            lambda line: str(line.waiters),
            rank=2,
            right=True,
            role=lambda line: "WARNING" if line.waiters else "",
        ),
        Column(_("LONGEST"), lambda line: line.longest_wait, rank=4, right=True),
        Column(
            _("STATE"),
            lambda line: line.state,
            rank=5,
            role=lambda line: "ERROR" if line.in_trouble else "",
        ),
        Column(_("LIMIT"), lambda line: line.limit, rank=6, right=True),
        Column(_("FENCE"), lambda line: line.fence, rank=7, right=True),
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


def _pad(cell: str, width: int, column: Column) -> str:
    padding = " " * (width - _cells(cell))
    return padding + cell if column.right else cell + padding


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
        1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
        if unicodedata.category(char) not in WITHOUT_A_PLACE
    )
