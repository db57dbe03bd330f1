"""Holds of threads that still run at the end of a process."""

from __future__ import annotations

import time

import pytest

from tests.known_faults import processes
from tests.known_faults.witness import Witness
from tests.support.places import Place
from tests.support.processes import Workers, context, wait_until


@pytest.mark.parametrize("ends_by", ["exit", "SIGTERM"])
def test_the_hold_of_a_running_thread_is_lost_before_it_is_anothers(
    workers: Workers, place: Place, witness: Witness, ends_by: str
) -> None:
    checked = context.Value("d", 0.0)
    worker = workers.start_afresh(processes.hold_until_the_end, place, checked, ends_by)
    wait_until(lambda: witness.holds("a"))
    others = witness.lock("a", lease=60)
    assert others.acquire(wait=40)
    acquired = time.monotonic()  # the clock is the same in all processes
    wait_until(lambda: not worker.alive)
    others.release()
    assert checked.value < acquired
