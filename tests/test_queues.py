"""Waits for queues, which keep their time limits."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from django_redislock.queues import take_within
from tests.support.processes import wait_until

PACKAGE = Path(__file__).parents[1] / "django_redislock"

# Seconds: the length of the test, and the time after which a wait counts as forgotten.
TRIED = 0.4
FORGOTTEN = 0.5


@pytest.fixture
def watched() -> Iterator[list[tuple[queue.SimpleQueue[str], float]]]:
    """The current queue and the start of the wait. A forgotten wait is ended with an item."""
    waiting: list[tuple[queue.SimpleQueue[str], float]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for source, since in waiting[:1]:
                if time.monotonic() - since > FORGOTTEN:
                    source.put("forgotten")

    thread = threading.Thread(target=watch)
    thread.start()
    yield waiting
    over.set()
    thread.join()


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 1e-7, 1e-6, 1e-5])
@pytest.mark.parametrize("is_used", [False, True])
def test_a_short_time_limit_is_kept(
    watched: list[tuple[queue.SimpleQueue[str], float]], timeout: float, is_used: bool
) -> None:
    until = time.monotonic() + TRIED
    while (now := time.monotonic()) < until:
        source: queue.SimpleQueue[str] = queue.SimpleQueue()
        if is_used:
            source.put("first")
            assert take_within(source, timeout) == "first"
        watched[:] = [(source, now)]
        with suppress(queue.Empty):
            pytest.fail(take_within(source, timeout))
        watched.clear()


def test_an_item_that_comes_during_the_wait_is_taken() -> None:
    source: queue.SimpleQueue[str] = queue.SimpleQueue()
    taken: list[str] = []
    thread = threading.Thread(target=lambda: taken.append(take_within(source, 60)))
    thread.start()
    time.sleep(0.01)
    source.put("item")
    wait_until(lambda: taken == ["item"])
    thread.join()


def test_an_infinite_time_limit_is_possible() -> None:
    source: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Timer(0.05, source.put, ("item",)).start()
    assert take_within(source, float("inf")) == "item"


def test_all_modules_wait_for_queues_with_take_within() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "queues.py"]
    assert [str(path) for path in sources if re.search(r"\.get\(timeout", path.read_text())] == []
