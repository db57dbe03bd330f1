"""Increments under a lock by several processes."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock_backends
from tests.concurrency import jobs
from tests.support.places import Place
from tests.support.processes import run_in_processes


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("processes", "rounds"), [(4, 100), pytest.param(8, 500, marks=pytest.mark.long)]
)
def test_processes_lose_no_update(place: Place, processes: Any, rounds: int) -> None:
    run_in_processes(jobs.increment, processes, place, rounds, within=200)
    with place.client() as client:
        assert int(client.get(f"{place.prefix}:counter")) == processes * rounds
    assert lock_backends["default"].list().total == 0
