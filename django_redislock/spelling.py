"""Suggestions for misspelt names of options, settings and attributes."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["distance", "suggestion"]


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant: up to a third of its letters may be wrong."""
    near = [(distance(name, other), other) for other in sorted(known)]
    wrong, closest = min(near, default=(len(name), ""), key=lambda one: one[0])
    return closest if 3 * wrong <= len(name) else None


def distance(one: str, other: str) -> int:
    """Count the letters that are wrong, missing, superfluous, or swapped with their neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
