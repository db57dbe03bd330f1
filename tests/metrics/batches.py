"""Batches of counts, which a process reports."""

from __future__ import annotations

from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally


def batch(key: str = "1", /, **counts: int) -> Batch:
    """How often each family was acquired."""
    return Batch(key, {name: Tally(acquired=number) for name, number in counts.items()})
