"""Memory: names that are not known in advance are forgotten."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from django_redislock import LockLost, lock, lock_backends, locked
from django_redislock.figures.families import family_of
from django_redislock.local.background import background
from django_redislock.local.registry import registry
from django_redislock.names import LONGEST_NAME
from tests.support.processes import wait_until
from tests.support.settled import settle

PACKAGE = Path(__file__).parents[2] / "django_redislock"
NAMES = 1100
# More than twice as many as are cached. That many rebuild the table of the cache, which only counts
# if it was built while memory is traced. Otherwise the second round would seem to add memory.
FAMILIES = 4200
# Bytes; a leak of one name of this length for each use would take five times as much.
MOST = NAMES * LONGEST_NAME // 5


def growth(use: Callable[[str], None]) -> int:
    """Return by how much the package's memory grows while long names are used, each once."""
    ours = [tracemalloc.Filter(True, f"{PACKAGE}/*"), tracemalloc.Filter(True, __file__)]

    def size_after(kind: str) -> int:
        for number in range(FAMILIES):  # the cache that takes longest to fill
            family_of(f"{kind}{number}".ljust(LONGEST_NAME, "f"))
        for number in range(NAMES):
            use(f"{kind}{number}:".ljust(LONGEST_NAME - 24, "n"))
        settle()
        wait_until(lambda: not registry, what="losses that are not reported")
        background.end(30)
        gc.collect()
        snapshot = tracemalloc.take_snapshot().filter_traces(ours)
        return sum(trace.size for trace in snapshot.traces)

    logging.disable()  # pytest keeps every line
    tracemalloc.start()
    try:
        return -size_after("caches fill up ") + size_after("and keep their size ")
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)


def hold(name: str, using: str) -> None:
    with lock(name, using=using, label=name):
        pass


def refuse(name: str, using: str) -> None:
    with lock(name, using=using):
        assert not lock(name, using=using).acquire(wait=0)


def give_up(name: str, using: str) -> None:
    with lock(name, using=using):
        assert not lock(name, using=using).acquire(wait=0.001)


def lose(name: str, using: str) -> None:
    held = lock(name, using=using)
    held.acquire()
    lock_backends[using].force_release(name, held.token)
    with pytest.raises(LockLost):
        held.release()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("using", [pytest.param("default", marks=pytest.mark.long), "memory"])
@pytest.mark.parametrize(
    "use", [hold, *(pytest.param(one, marks=pytest.mark.long) for one in (refuse, give_up, lose))]
)
def test_names_are_forgotten(use: Callable[[str, str], None], using: str) -> None:
    assert growth(lambda name: use(name, using)) < MOST


def test_values_in_a_template_are_forgotten() -> None:
    @locked("feed:{feed}", using="memory")
    def work(feed: str) -> None: ...

    assert growth(work) < MOST


def test_a_leak_is_noticed() -> None:
    kept = []
    assert growth(lambda name: kept.append(f"{name}!")) > MOST
