"""Figures of the last hour, as both backends keep them."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from django_redislock import lock_backends
from django_redislock.backends.redis.keys import figure_keys, minutes_key
from django_redislock.backends.redis.overview import hour as redis_hour
from django_redislock.figures import hour, tallies
from django_redislock.figures.families import OTHER
from django_redislock.figures.meter import Batch, Meter
from django_redislock.figures.tallies import (
    MOST_FAMILIES,
    SLOT,
    SLOTS,
    Tally,
)
from tests.metrics.batches import batch
from tests.support.places import Place
from tests.support.processes import wait_until


def counted(backend: Any) -> Any:
    """How often each family was acquired, in the whole hour."""
    found: dict[str, int] = {}
    for slot in backend.tallies():
        for family, tally in slot.tallies.items():
            found[family] = found.get(family, 0) + tally.acquired
    return found


@pytest.fixture
def short_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots of a second, three of them."""
    for module in (tallies, hour, redis_hour):
        monkeypatch.setattr(module, "SLOT", 1)
        monkeypatch.setattr(module, "SLOTS", 3)


def test_an_hour_has_the_current_slot_and_all_earlier_ones(backend: Any) -> None:
    slots = backend.tallies()
    assert len(slots) == SLOTS
    assert all(slot.tallies == {} for slot in slots)
    assert [after.start - before.start for before, after in pairwise(slots)] == [SLOT] * (SLOTS - 1)
    assert slots[-1].start <= time.time() < slots[-1].start + SLOT + 60
    assert slots[-1].start - slots[0].start == 3600


def test_reported_figures_add_up(backend: Any) -> None:
    first, second = Tally(), Tally(busy=2, lost=1)
    for wait, hold in ((0.0001, 0.5), (3.0, 4000.0)):
        first.was_acquired(wait)
        first.was_released(hold)
    second.was_acquired(7.5)
    backend.add_tallies(Batch("1", {"a": first}))
    backend.add_tallies(Batch("2", {"a": second, "b": first}))
    whole = Tally()
    whole.add(first)
    whole.add(second)
    found = {f: t for slot in backend.tallies() for f, t in slot.tallies.items()}
    assert found == {"a": whole, "b": first}


def test_families_of_any_characters_are_counted_separately(backend: Any) -> None:
    families = ["größe", 'a"b', "a:b", "slot", "line\nbreak", "zero\0", "%s", "\U0001f512", "{}"]
    backend.add_tallies(Batch("1", {family: Tally(acquired=1) for family in families}))
    assert counted(backend) == dict.fromkeys(families, 1)


def test_changing_figures_that_were_read_does_not_change_the_stored_ones(backend: Any) -> None:
    backend.add_tallies(batch(a=1))
    backend.tallies()[-1].tallies.get("a", Tally()).acquired += 5
    assert counted(backend) == {"a": 1}


def test_families_beyond_the_limit_are_counted_together(backend: Any) -> None:
    names = [f"family {number}" for number in range(MOST_FAMILIES + 60)]
    for part in (names[:150], names[150:]):
        backend.add_tallies(Batch(part[0], {name: Tally(acquired=1) for name in part}))
    backend.add_tallies(batch("again", **{names[0]: 4, names[-1]: 5}))
    found = counted(backend)
    assert len(found) == MOST_FAMILIES + 1
    assert found[names[0]] == 5
    assert found[OTHER] == 60 + 5
    assert sum(found.values()) == len(names) + 9


def test_the_process_limits_the_families_that_it_reports() -> None:
    meter = Meter()
    for number in range(MOST_FAMILIES + 60):
        name = f"family {'x' * (number % 20)} {'y' * (number // 20)}"
        meter.events.append((Tally.was_acquired, name, 0.0))
    reported = meter.take().tallies
    assert len(reported) == MOST_FAMILIES + 1
    assert reported[OTHER].acquired == 60


def test_figures_of_a_slot_are_forgotten_after_an_hour(backend: Any, short_slots: Any) -> None:
    backend.add_tallies(batch(a=1))
    assert len(backend.tallies()) == 3
    wait_until(lambda: counted(backend) == {})
    # Earlier figures in the place of the new slot are gone.
    backend.add_tallies(batch("2", b=1))
    assert counted(backend) == {"b": 1}


def test_figures_are_counted_in_the_slot_of_their_time(backend: Any, short_slots: Any) -> None:
    def reported_in_two() -> bool:
        backend.add_tallies(batch(str(time.monotonic()), a=1))
        return sum("a" in slot.tallies for slot in backend.tallies()) == 2

    wait_until(reported_in_two)


def test_memory_of_old_slots_is_freed(short_slots: Any) -> None:
    known = hour.Hour()
    known.add(batch(a=1))
    wait_until(lambda: not any(slot.tallies for slot in known.slots()))
    known.add(batch(b=1))
    assert len(known._slots) == 1


# In Redis alone.


class Server:
    """A node whose server has one slot of figures, with its fields in this order."""

    def __init__(self, present: int, fields: list[tuple[bytes, bytes]]) -> None:
        hashes = [
            [part for field in fields for part in field],
            *([] for _ in range(SLOTS - 1)),
        ]
        self.replies = [[b"%d" % (present * SLOT), b"0"], *hashes]

    def exchange(self, commands: Any) -> Any:
        assert len(commands) == len(self.replies)
        return list(self.replies), 0.0


@pytest.mark.parametrize("order", [1, -1], ids=["number first", "number last"])
def test_the_number_of_a_slot_is_no_family(order: Any) -> None:
    """A hash has any order, and a family may have the name of another field."""
    figures = json.dumps(Tally(acquired=3).figures()).encode()
    fields = [(b"slot", b"1000"), (b":slot", figures)][::order]
    slots = redis_hour.slots(Server(1000, fields), "prefix")
    assert slots[-1].tallies == {"slot": Tally(acquired=3)}


@pytest.mark.parametrize("field", [b"later", b""])
def test_a_field_of_a_later_release_is_no_family(field: Any) -> None:
    figures = json.dumps(Tally(acquired=3).figures()).encode()
    fields = [(b"slot", b"1000"), (field, figures), (b":a", figures)]
    slots = redis_hour.slots(Server(1000, fields), "prefix")
    assert slots[-1].tallies == {"a": Tally(acquired=3)}


def test_the_same_batch_counts_once(place: Place) -> None:
    backend = lock_backends["default"]
    for _ in range(2):
        backend.add_tallies(batch(a=1))
    assert counted(backend) == {"a": 1}


def test_every_key_is_ours_and_expires(place: Place) -> None:
    lock_backends["default"].add_tallies(batch(a=1))
    with place.client() as client:
        keys = {key.decode(): client.ttl(key) for key in client.scan_iter(f"{place.prefix}:*")}
    slots = figure_keys(place.prefix, SLOTS)
    (slot,) = set(keys) & set(slots)
    assert SLOT * (SLOTS - 1) - 30 <= keys.pop(slot) <= SLOT * SLOTS
    assert keys.pop(minutes_key(place.prefix)) > 0
    (seen,) = keys.values()
    assert 0 < seen <= 60


def test_outdated_figures_in_the_place_of_a_slot_are_removed(place: Place) -> None:
    """The expiry and the clock of the script need not agree to the millisecond."""
    backend = lock_backends["default"]
    backend.add_tallies(batch(old=1))
    with place.client() as client:
        (key,) = filter(client.exists, figure_keys(place.prefix, SLOTS))
        client.hset(key, "slot", 1)
    backend.add_tallies(batch("2", new=1))
    assert counted(backend) == {"new": 1}


@pytest.mark.parametrize("figure", [1.5, 10**14, 2**53])
def test_figures_that_no_script_has_added_are_overwritten(place: Place, figure: float) -> None:
    """Larger numbers would come back from the script without their last digits."""
    backend = lock_backends["default"]
    backend.add_tallies(batch(a=1))
    with place.client() as client:
        (key,) = filter(client.exists, figure_keys(place.prefix, SLOTS))
        figures = json.loads(client.hget(key, ":a") or "")
        client.hset(key, ":a", json.dumps([*figures[:2], figure, *figures[3:]]))
    backend.add_tallies(batch("2", a=2))
    assert counted(backend) == {"a": 2}


def test_the_memory_for_an_hour_is_limited(place: Place) -> None:
    """Families as long and as many as can be: the memory that the docs speak of."""
    full = {f"{number:03}".ljust(100, "x"): Tally.of([10**5] * 53) for number in range(300)}
    lock_backends["default"].add_tallies(Batch("1", full))
    with place.client() as client:
        (key,) = filter(client.exists, figure_keys(place.prefix, SLOTS))
        assert client.hlen(key) == MOST_FAMILIES + 2
        assert client.memory_usage(key, samples=0) * SLOTS < 2_000_000


def test_listing_and_clearing_do_not_see_the_figures(place: Place) -> None:
    backend = lock_backends["default"]
    backend.add_tallies(batch(a=1))
    assert backend.list().total == 0
    assert backend.check(deploy=False) == []
