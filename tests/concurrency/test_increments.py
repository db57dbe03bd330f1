"""No update is lost under a lock: the reason why there are locks."""

from __future__ import annotations

import pytest

from django_redislock import lock_backends
from tests.concurrency import jobs
from tests.support.processes import run_in_processes

PROCESSES = 8


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rounds", [100, pytest.param(500, marks=pytest.mark.long)])
def test_processes_lose_no_update(place, rounds):
    within = 200
    run_in_processes(jobs.increment, PROCESSES, place, rounds, within=within)
    with place.client() as client:
        assert int(client.get(f"{place.prefix}:counter")) == PROCESSES * rounds
    assert lock_backends["default"].list().total == 0
