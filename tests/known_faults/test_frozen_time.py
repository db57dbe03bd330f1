"""Frozen or shifted time in tests, which affects no backend."""

from __future__ import annotations

import pytest

from tests.known_faults import processes
from tests.support.places import Place
from tests.support.processes import Workers

pytest.importorskip("freezegun")
pytest.importorskip("time_machine")


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize("freeze", ["freezegun", "time_machine"])
def test_frozen_time_does_not_affect_locks(
    workers: Workers, place: Place, freeze: str, using: str
) -> None:
    assert workers.start(processes.live_in_frozen_time, place, freeze, using).result(40) == []
