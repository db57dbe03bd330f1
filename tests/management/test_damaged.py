"""Damaged holds in the commands: they are listed, and can be cleared."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.redis.keys import name_keys
from tests.management.holds import hold, is_held
from tests.support.commands import output_of
from tests.support.places import Place


def spoil(place: Place, name: str, expiry: int | None = 60_000) -> None:
    """Replace the data of a hold."""
    with place.client() as client:
        client.set(name_keys(place.prefix, name).hold, b"\xffjunk", px=expiry)


def listlocks(**options: Any) -> str:
    return output_of("listlocks", **options)


@pytest.fixture
def damaged(place: Place) -> str:
    hold("order 42", "default", what="shop.buy")
    spoil(place, "order 42")
    return "order 42"


def test_a_damaged_hold_is_listed_as_damaged(damaged: str) -> None:
    hold("another", "default", what="shop.sell")
    line = next(line for line in listlocks().splitlines() if damaged in line)
    assert line.split()[-1] == "damaged"
    assert "not readable" in line
    assert "pid" not in line
    assert "shop.sell" in listlocks()


def test_a_damaged_hold_is_listed_and_counted_once(damaged: str) -> None:
    # From here on it is in the index with its old token, and with the token of the damage.
    lock_backends["default"].inspect(damaged)
    lines = listlocks().splitlines()
    assert len(lines) == 2
    assert damaged in lines[1]


def test_clearlocks_shows_for_how_long_a_damaged_hold_stays(damaged: str) -> None:
    shown = output_of("clearlocks", all=True, dry_run=True).splitlines()
    line = next(line for line in shown if damaged in line)
    left = re.search(r"([\d.]+) s", line)
    assert left
    assert 0 < float(left[1]) <= 60


def test_unknown_fields_are_left_out_for_programs(damaged: str) -> None:
    (found,) = json.loads(listlocks(format="json"))
    assert (found["name"], found["state"]) == (damaged, "damaged")
    assert 0 < found["remaining"] <= 60
    for field in ("kind", "limit", "held", "lease", "since", "held_for", "fence"):
        assert found[field] is None
    assert set(found["holder"].values()) == {None}
    (row,) = csv.DictReader(io.StringIO(listlocks(format="csv")))
    assert (row["name"], row["state"], row["since"], row["host"]) == (damaged, "damaged", "", "")


def test_damaged_holds_can_be_selected_and_cleared(damaged: str) -> None:
    other = hold("another", "default")
    assert "another" not in listlocks(state="damaged")
    for options in ({"orphaned": True}, {"older_than": "1h"}, {"state": "silent"}):
        assert damaged not in listlocks(**options)
    output_of("clearlocks", state="damaged", interactive=False)
    with lock(damaged, wait=0):
        pass
    assert is_held("another", other, "default")


def test_the_latest_date_that_is_not_damaged_is_shown(place: Place, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    hold("late", "default")
    with place.client() as client:
        key = name_keys(place.prefix, "late").hold
        token, *fields = (client.get(key) or b"").split(b" ")
        fields[4] = b"9" * 14
        client.set(key, b" ".join([token, *fields]), keepttl=True)
    assert "late" in listlocks()
    assert "5138-11-16" in listlocks(format="json")
