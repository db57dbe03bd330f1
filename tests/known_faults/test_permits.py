"""No interruption takes away a part of what a process may have at once."""

from __future__ import annotations

import pytest

from tests.known_faults import processes
from tests.support.places import Place
from tests.support.processes import Workers


@pytest.mark.parametrize("rounds", [10, pytest.param(40, marks=pytest.mark.long)])
def test_interrupted_again_and_again(workers: Workers, place: Place, rounds: int) -> None:
    """A small pool keeps no connection apart, so that each exchange comes to the limit."""
    small = place.pool(max_connections=3)
    assert workers.start(processes.lose_permits, small, rounds).result(50) == []
