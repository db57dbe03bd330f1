"""Figures of the last minutes, of all families together."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.redis.keys import minutes_key
from django_redislock.backends.redis.overview import hour as redis_hour
from django_redislock.figures import hour, tallies
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import MINUTE, MINUTES, SLOT, Tally
from tests.metrics.batches import batch
from tests.support.places import Place
from tests.support.processes import wait_until


def in_minutes(backend: Any) -> Any:
    """How often all families were acquired in each of the last minutes."""
    return [minute.tally.acquired for minute in backend.minutes()]


@pytest.fixture
def short_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes of a second, three of them."""
    for module in (tallies, hour, redis_hour):
        monkeypatch.setattr(module, "MINUTE", 1)
        monkeypatch.setattr(module, "MINUTES", 3)


def test_the_last_minutes_are_those_of_the_current_slot_and_the_one_before(backend: Any) -> None:
    minutes = backend.minutes()
    assert len(minutes) == MINUTES == 2 * SLOT // MINUTE
    assert all(minute.tally == Tally() for minute in minutes)
    starts = [minute.start for minute in minutes]
    assert [after - before for before, after in pairwise(starts)] == [MINUTE] * (MINUTES - 1)
    assert starts[-1] <= time.time() < starts[-1] + MINUTE + 60
    *before, present = (minute.seconds for minute in minutes)
    assert before == [MINUTE] * (MINUTES - 1)
    assert 0 <= present < MINUTE


def test_a_minute_has_the_sum_of_all_families(backend: Any) -> None:
    first, second = Tally(busy=2), Tally(lost=1)
    first.was_acquired(0.5)
    second.was_acquired(7.5)
    second.was_released(3.0)
    for number in range(30):
        backend.add_tallies(Batch(str(number), {"a": first, "b": second}))
    # More than are reported at once.
    backend.add_tallies(batch("many", **{f"family {number}": 1 for number in range(50)}))
    whole = Tally()
    for minute in backend.minutes():
        whole.add(minute.tally)
    assert (whole.acquired, whole.busy, whole.lost) == (110, 60, 30)
    assert (whole.longest_wait, whole.longest_hold) == (7.5, 3.0)
    assert (sum(whole.waits), sum(whole.holds)) == (60, 30)


def test_figures_of_a_minute_are_forgotten_after_a_while(backend: Any, short_minutes: Any) -> None:
    backend.add_tallies(batch(a=1))
    assert sum(in_minutes(backend)) == 1
    wait_until(lambda: in_minutes(backend) == [0, 0, 0])
    # Earlier figures in the place of a new minute are gone, in each place.
    for number in range(4):
        present = backend.minutes()[-1].start
        backend.add_tallies(batch(f"b{number}", b=1))
        wait_until(lambda present=present: backend.minutes()[-1].start != present)
        assert max(in_minutes(backend)) <= 1


def test_figures_are_counted_in_the_minute_of_their_time(backend: Any, short_minutes: Any) -> None:
    def reported_in_two() -> bool:
        backend.add_tallies(batch(str(time.monotonic()), a=1))
        return sum(map(bool, in_minutes(backend))) == 2

    wait_until(reported_in_two)


@pytest.mark.parametrize(
    "damage", ["[]", "x", "[1,2,3]", "[" * 100, "{}", '[{},"a"]', "", json.dumps(["a"] * 54)]
)
def test_a_damaged_minute_counts_as_empty_and_is_overwritten(place: Place, damage: Any) -> None:
    backend = lock_backends["default"]
    key = minutes_key(place.prefix)
    with place.client() as client:
        client.hset(key, mapping={str(number): damage for number in range(MINUTES)})
        assert in_minutes(backend) == [0] * MINUTES
        backend.add_tallies(batch(a=1))
        assert sum(in_minutes(backend)) == 1
        client.set(key, damage)
        assert in_minutes(backend) == [0] * MINUTES
        backend.add_tallies(batch("2", a=1))
        assert sum(in_minutes(backend)) == 1


def test_memory_of_old_minutes_is_freed(short_minutes: Any) -> None:
    known = hour.Hour()
    known.add(batch(a=1))
    wait_until(lambda: not any(minute.tally.acquired for minute in known.minutes()))
    known.add(batch(b=1))
    assert len(known._minutes) == 1


def test_the_same_batch_counts_once(place: Place) -> None:
    backend = lock_backends["default"]
    for _ in range(2):
        backend.add_tallies(batch(a=1))
    assert sum(in_minutes(backend)) == 1


def test_the_key_of_the_minutes_expires_and_is_small(place: Place) -> None:
    """Its size does not depend on the number of families or the size of their figures."""
    full = {f"{number:03}".ljust(100, "x"): Tally.of([10**9] * 53) for number in range(300)}
    lock_backends["default"].add_tallies(Batch("1", full))
    key = minutes_key(place.prefix)
    with place.client() as client:
        assert MINUTE * (MINUTES - 1) - 30 <= client.ttl(key) <= MINUTE * MINUTES
        (minute,) = {len(value) for value in client.hvals(key)}
        assert minute * MINUTES < 10_000
