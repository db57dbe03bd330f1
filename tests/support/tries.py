"""Measurements that must be small, on a machine that may be suspended during one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 10


def best_of(measure: Callable[[int], float | None], enough: float) -> float:
    """Return the least of up to TRIES measurements, and stop at the first that is below `enough`.

    A real error shows in every try, unlike a disturbance of the machine. `measure` is called with
    the number of the try, and returns None if it could not take a measurement.
    """
    best = float("inf")
    for attempt in range(TRIES):
        if (figure := measure(attempt)) is not None:
            best = min(best, figure)
        if best < enough:
            break
    return best
