"""The figures of the last hour, in the memory of one process."""

from __future__ import annotations

from collections.abc import Collection

from ..clock import wall_time
from .families import OTHER
from .meter import Batch
from .tallies import (
    MINUTE,
    MINUTES,
    MOST_FAMILIES,
    SLOT,
    SLOTS,
    Minute,
    Slot,
    Tally,
    last_hour,
    last_minutes,
)

__all__ = ["Hour"]


class Hour:
    """A store with the same limits as in Redis: for the age of slots and the number of families."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[str, Tally]] = {}
        self._minutes: dict[int, Tally] = {}

    def add(self, batch: Batch) -> None:
        number, minute = _present(SLOT), _present(MINUTE)
        slot = self._slots.setdefault(number, {})
        self._slots = {n: known for n, known in self._slots.items() if n > number - SLOTS}
        for family, tally in batch.tallies.items():
            has_room = family in slot or len(slot) < MOST_FAMILIES
            slot.setdefault(family if has_room else OTHER, Tally()).add(tally)
        whole = Tally.sum_of(batch.tallies.values())
        self._minutes.setdefault(minute, Tally()).add(whole)
        self._minutes = {n: known for n, known in self._minutes.items() if n > minute - MINUTES}

    def slots(self, families: Collection[str] | None = None) -> list[Slot]:
        copies = {
            number: {
                family: Tally.of(tally.figures())
                for family, tally in slot.items()
                if families is None or family in families
            }
            for number, slot in self._slots.items()
        }
        return last_hour(_present(SLOT), copies)

    def minutes(self) -> list[Minute]:
        copies = {number: Tally.of(tally.figures()) for number, tally in self._minutes.items()}
        return last_minutes(int(wall_time()), copies)


def _present(length: int) -> int:
    return int(wall_time()) // length
