"""Figures that must be small, on a machine that may stand still while one of them is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 10


def best_of(measure: Callable[[int], float | None], enough: float) -> float:
    """Return the least of up to TRIES measurements, and stop at the first that is below `enough`.

    What is wrong is wrong each time; what the machine has spoilt is not. `measure` is given the
    number of the try, and returns None when it could not take the figure.
    """
    best = float("inf")
    for attempt in range(TRIES):
        if (figure := measure(attempt)) is not None:
            best = min(best, figure)
        if best < enough:
            break
    return best
