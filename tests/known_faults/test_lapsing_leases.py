"""Lapsing leases, after each of which the waiters look again."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from django_redislock import lock
from tests.known_faults.witness import Witness

WAITERS = 3
LATE = 0.3
# A real error shows in every try, unlike a delay by a machine under load.
TRIES = 3


@pytest.mark.parametrize("lease", [0.1, 0.3, 0.6])
def test_each_lease_that_lapses_is_noticed(witness: Witness, lease: float) -> None:
    """Waiters take the name one after another, and none of them releases it."""

    def take(name: str, granted: list[float]) -> None:
        handle = lock(name, lease=lease, renew=False)
        if handle.acquire(wait=20):
            granted.append(time.monotonic())
            handle.detach()

    def latest(attempt: int) -> float:
        name = f"{attempt}"
        granted: list[float] = []
        with witness.lock(name, lease=60) as held:
            threads = [threading.Thread(target=take, args=(name, granted)) for _ in range(WAITERS)]
            for thread in threads:
                thread.start()
            witness.wait_until_queued(name, WAITERS)
            assert held.held
        for thread in threads:
            thread.join()
        gaps = [later - earlier for earlier, later in itertools.pairwise(granted)]
        return max(gaps) - lease

    assert min(latest(attempt) for attempt in range(TRIES)) < LATE


def test_a_wait_longer_than_the_remaining_lease_gets_the_name(witness: Witness) -> None:
    """The name is free for half a second before the wait is over."""

    def missed(attempt: int) -> int:
        name = f"{attempt}"
        got: list[bool] = []

        def take(wait: float) -> None:
            handle = lock(name, lease=0.2, renew=False)
            if handle.acquire(wait=wait):
                handle.detach()
                got.append(True)

        held = witness.lock(name, lease=60, renew=False)
        held.acquire()
        threads = [threading.Thread(target=take, args=(wait,)) for wait in (5.0, 0.9)]
        for place, thread in enumerate(threads, 1):
            thread.start()
            witness.wait_until_queued(name, place)
        held.detach(0.2)
        for thread in threads:
            thread.join()
        return 2 - len(got)

    assert min(missed(attempt) for attempt in range(TRIES)) == 0
