"""Figures for the page of hot names."""

from __future__ import annotations

from typing import Any

from django_redislock import lock_backends
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from tests.admin.pages import PAGE

HOT = f"{PAGE}hot/"


def count(
    family: str, using: str = "default", *, waits: Any = (), holds: Any = (), busy: int = 0
) -> None:
    """Record figures as another process would."""
    tally = Tally(busy=busy)
    for wait in waits:
        tally.was_acquired(wait)
    for held in holds:
        tally.was_released(held)
    lock_backends[using].add_tallies(Batch(f"{family} {busy} {len(waits)}"[:40], {family: tally}))
