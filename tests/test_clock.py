"""Clocks, which are real even if a test freezes time."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from django_redislock import clock, lock, lock_backends
from django_redislock.figures import hour
from django_redislock.testing import held_elsewhere, override_locks

freezegun = pytest.importorskip("freezegun")

PACKAGE = Path(__file__).parents[1] / "django_redislock"
# A separate program, which imports nothing from the package.
APART = PACKAGE / "testing" / "supervisor.py"

LONG_AGO = "2001-01-01"
A_CLOCK = re.compile(r"\btime\.(monotonic|time|perf_counter)|from time import|now\(timezone\.utc\)")


def test_all_modules_take_the_time_from_the_clock_module() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path not in {PACKAGE / "clock.py", APART}]
    assert [str(path) for path in sources if A_CLOCK.search(path.read_text())] == []


@freezegun.freeze_time(LONG_AGO)
def test_the_clocks_are_real_while_time_is_frozen() -> None:
    assert datetime.now(timezone.utc).year == 2001
    assert clock.utc_now().year > 2020
    assert clock.wall_time() > 1_700_000_000
    before = clock.monotonic()
    while clock.monotonic() <= before:
        pass


@freezegun.freeze_time(LONG_AGO)
def test_data_in_memory_has_the_real_time() -> None:
    with override_locks(), lock("a"):
        (hold,) = lock_backends["default"].inspect("a")[0]
        assert hold.since.year > 2020
        assert hold.fence > 1_700_000_000_000_000
    assert hour._present(hour.SLOT) * hour.SLOT > 1_700_000_000


@freezegun.freeze_time(LONG_AGO, real_asyncio=True)
def test_waits_of_coroutines_are_exact_while_time_is_frozen() -> None:
    with override_locks(), held_elsewhere("a"):
        before = clock.monotonic()
        assert not asyncio.run(lock("a").aacquire(wait=0.2))
        assert clock.monotonic() - before >= 0.2
