"""No update is lost under a lock: the reason why there are locks."""

from __future__ import annotations

import os

import pytest

from django_redislock import lock_backends
from tests.concurrency import jobs
from tests.support.processes import run_in_processes

PROCESSES = 8
ROUNDS = 500 if os.environ.get("CI") else 250


@pytest.mark.timeout(240)
def test_processes_lose_no_update(place):
    within = 200
    run_in_processes(jobs.increment, PROCESSES, place, ROUNDS, within=within)
    with place.client() as client:
        assert int(client.get(f"{place.prefix}:counter")) == PROCESSES * ROUNDS
    assert lock_backends["default"].list().total == 0
