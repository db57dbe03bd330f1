"""Limit of connections in use, of which interruptions take nothing away."""

from __future__ import annotations

import pytest

from tests.known_faults import processes
from tests.support.places import Place
from tests.support.processes import Workers


@pytest.mark.parametrize("rounds", [10, pytest.param(40, marks=pytest.mark.long)])
def test_interruptions_at_the_limit_of_connections_lose_none(
    workers: Workers, place: Place, rounds: int
) -> None:
    """With a small pool, each exchange reaches the limit."""
    small = place.pool(max_connections=3)
    assert workers.start(processes.lose_permits, small, rounds).result(50) == []
