"""A time limit of a queue is kept, whatever the thread does at the moment when it is over."""

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

# Seconds: how long it is tried, and after which time whoever takes something was forgotten.
TRIED = 0.4
FORGOTTEN = 0.5


@pytest.fixture
def watched() -> Iterator[list[tuple[queue.SimpleQueue[str], float]]]:
    """The queue that is waited for, and since when; one that is forgotten gets an item."""
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
def test_nobody_waits_for_ever(
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


def test_what_comes_meanwhile_is_taken() -> None:
    source: queue.SimpleQueue[str] = queue.SimpleQueue()
    taken: list[str] = []
    thread = threading.Thread(target=lambda: taken.append(take_within(source, 60)))
    thread.start()
    time.sleep(0.01)
    source.put("item")
    wait_until(lambda: taken == ["item"])
    thread.join()


def test_the_longest_time_is_one_of_python() -> None:
    source: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Timer(0.05, source.put, ("item",)).start()
    assert take_within(source, float("inf")) == "item"


def test_nobody_waits_for_a_queue_alone() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "queues.py"]
    assert [str(path) for path in sources if re.search(r"\.get\(timeout", path.read_text())] == []
