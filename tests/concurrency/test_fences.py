"""Fences, which rise even if the server loses its data."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.redis.keys import bucket_keys, bucket_of
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import run_in_processes


def fence_of_next() -> int:
    with lock("a", lease=30) as held:
        return held.fence


def forget_by_flush(server: Any, place: Place) -> None:
    with place.client() as client:
        client.flushall()


def forget_by_restart(server: Any, place: Place) -> None:
    server.restart()


@pytest.mark.parametrize("forget", [forget_by_flush, forget_by_restart])
def test_fences_rise_when_the_server_loses_its_data(
    own_server: EmbeddedServer, use: UsePlace, forget: Any
) -> None:
    place = use(own_server.url)
    fences = []
    for _ in range(5):
        fences += [fence_of_next() for _ in range(5)]
        forget(own_server, place)
    assert fences == sorted(set(fences))


def test_fences_rise_when_the_clock_is_set_back(place: Place) -> None:
    """The counter is then above the clock, and rises by one with each grant."""
    ahead = 10**6 * 4_000_000_000  # microseconds: the year 2096
    with place.client() as client:
        client.set(bucket_keys(place.prefix, bucket_of("a")).fence, ahead)
    assert [fence_of_next() for _ in range(3)] == [ahead + 1, ahead + 2, ahead + 3]


def take_often(index: int, place: Place) -> list[int]:
    place.use()
    fences = []
    for _ in range(50):
        with lock("a", wait=jobs.FOR_EVER) as held:
            fences.append(held.fence)
    return fences


@pytest.mark.timeout(120)
def test_no_two_processes_ever_get_the_same_fence(place: Place) -> None:
    of_all = run_in_processes(take_often, 3, place, within=100)
    assert all(fences == sorted(fences) for fences in of_all)
    assert len({fence for fences in of_all for fence in fences}) == 150
    assert lock_backends["default"].list().total == 0
