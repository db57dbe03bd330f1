"""Markdown table: figures of each contestant, and ours divided by theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .contestants import OURS

__all__ = ["Figures", "Row", "Section", "put_into", "render"]

# The figures of each contestant, one per round; None if that round failed.
Figures = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Row:
    title: str
    figures: Figures
    digits: int = 0

    def cell(self, contestant: str) -> str:
        if contestant not in self.figures:
            return ""
        figures = [one for one in self.figures[contestant] if one is not None]
        if not figures:
            return "failed"
        ratio = self.ratio(contestant)
        return f"{median(figures):,.{self.digits}f}" + (f" ({ratio:.2f})" if ratio else "")

    def ratio(self, contestant: str) -> float | None:
        """Our figure divided by theirs: the median over rounds, each under the same conditions."""
        if contestant == OURS:
            return None
        both = zip(self.figures.get(OURS, ()), self.figures[contestant], strict=False)
        ratios = [our / their for our, their in both if our is not None and their]
        return median(ratios) if ratios else None


@dataclass(frozen=True)
class Section:
    title: str
    rows: Sequence[Row]


def render(sections: Iterable[Section], contestants: Sequence[str], notes: Iterable[str]) -> str:
    """Render the notes on the machine, and every section under its heading."""
    parts = ["\n".join(f"* {note}" for note in notes)]
    parts += [f"### {one.title}\n\n{_table(one.rows, contestants)}" for one in sections]
    return "\n\n".join(parts)


def put_into(page: Path, text: str, marker: str = "benchmarks") -> None:
    """Write the text between the two markers of a page, and keep the rest of the page."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, found, rest = page.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{page} has no {begin} with an {end} after it.")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _table(rows: Sequence[Row], contestants: Sequence[str]) -> str:
    """Render the rows, without columns that have no figure in any row."""
    columns = [name for name in contestants if any(name in row.figures for row in rows)]
    lines = [["", *columns], *([row.title, *map(row.cell, columns)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *others]) + " |"
