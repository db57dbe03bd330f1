"""Signal handlers that take a lock."""

from __future__ import annotations

import pytest

from tests.known_faults import processes
from tests.support.places import Place
from tests.support.processes import Workers


@pytest.mark.parametrize("kind", ["with", "extend", "wait"])
def test_a_signal_handler_may_take_a_lock_at_any_place(
    workers: Workers, place: Place, kind: str
) -> None:
    assert workers.start(processes.take_locks_in_a_handler, place, kind).result(50) == []
