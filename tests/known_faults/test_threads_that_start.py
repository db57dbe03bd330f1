"""Exceptions while one of our own threads is being started."""

from __future__ import annotations

import contextlib

import pytest

from django_redislock import LockError, lock
from django_redislock.testing.servers import EmbeddedServer
from tests.known_faults import processes
from tests.known_faults.witness import Witness
from tests.support.interruptions import Interruption
from tests.support.places import Place
from tests.support.processes import Workers, wait_until
from tests.support.proxy import Proxy


def test_one_thread_listens_after_an_interrupted_start(
    workers: Workers, own_server: EmbeddedServer
) -> None:
    """With two, a turn would arrive twice, and the second time it would be given back."""
    place = Place(own_server.url)
    said = workers.start(processes.wait_after_an_interrupted_start, place, 0).result(40)
    assert said["wrong"] == []
    assert said["listening"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_failed_release_is_done_later_after_an_interrupted_start(
    through_proxy: Proxy, witness: Witness
) -> None:
    """The first release is interrupted while the background thread starts; the second is not."""
    holds = [lock(name, lease=600) for name in "ab"]
    for held in holds:
        assert held.acquire(wait=0)
    for held, starts in zip(holds, (0, -1), strict=True):
        through_proxy.refuse()
        through_proxy.cut()
        with processes.interrupted_start(starts):
            with contextlib.suppress(Interruption, LockError):
                held.release()
        through_proxy.accept()
    try:
        wait_until(lambda: not witness.names(), within=8)
    finally:
        for held in holds:
            with contextlib.suppress(LockError):
                witness.lock(held.name, token=held.token).release()
