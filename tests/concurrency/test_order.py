"""Order of the queue: threads, coroutines and processes are served as they come."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from tests.concurrency import jobs
from tests.faults.checker import Rules, assert_allowed
from tests.faults.history import History
from tests.support.fixtures import UsePlace
from tests.support.processes import Workers, wait_until

PROCESSES, THREADS, TASKS = 4, 16, 16
WAITERS = PROCESSES * (THREADS + TASKS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [4, pytest.param(24, marks=pytest.mark.long)])
def test_128_waiters_are_served_in_their_order_and_equally_often(
    use: UsePlace, redis_url: str, workers: Workers, rounds: int
) -> None:
    # A process that is suspended for longer than the grant lease loses its turn and its position.
    place = use(redis_url, entry={"OPTIONS": {"grant_lease": 60}})
    backend = lock_backends["default"]
    with lock("turn", lease=60):
        for _ in range(PROCESSES):
            workers.start(jobs.take_turns, place, THREADS, TASKS, WAITERS * rounds)
        wait_until(lambda: jobs.queue_length("turn") == WAITERS, within=100)
        queue = [one.token for one in backend.inspect("turn")[1]]
    turns = [turn for turns in workers.results(within=150) for turn in turns]
    in_order = [token for token, _, _ in sorted(turns, key=lambda turn: turn[1])]
    assert in_order == queue
    counts = [count for _, _, count in turns]
    assert sum(counts) == WAITERS * rounds
    assert max(counts) - min(counts) <= 2, sorted(counts)
    assert backend.inspect("turn") == ([], [])


@pytest.mark.parametrize("using", ["default", "memory"])
@pytest.mark.parametrize(
    "kinds",
    [
        [{}, {"shared": True}, {"shared": True}, {"wait": 0.002}],
        [{}, {"limit": 2}, {"limit": 3}, {"limit": 3, "wait": 0.002}],
    ],
    ids=["readers and writers", "semaphores"],
)
def test_the_history_of_many_holders_has_no_violations(
    tmp_path: Path, using: str, kinds: Any
) -> None:
    """The checker of `tests/faults` knows which violations no lock may cause."""
    history = History(tmp_path / "history")

    def work(number: int) -> None:
        for round_ in range(15):
            kind = kinds[(number + round_) % len(kinds)]
            handle = lock("a", using=using, **({"wait": 50} | kind))
            shown = {key: value for key, value in kind.items() if key != "wait"}
            asked = f"{number}/{round_}"
            history.record("asked", "a", asked, **shown)
            if handle.acquire():
                history.record("acquired", "a", asked, fence=handle.fence, **shown)
                history.record("released", "a", asked, **shown)
                handle.release()
            else:
                history.record("gave_up", "a", asked, **shown)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_allowed(history, Rules())
    wait_until(lambda: lock_backends[using].inspect("a") == ([], []))


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_release_wakes_all_waiting_readers(using: str) -> None:
    meeting = threading.Barrier(8, timeout=40)

    def read() -> None:
        with lock("a", using=using, shared=True, wait=30):
            meeting.wait()  # passes only if all hold it together

    threads = [threading.Thread(target=read) for _ in range(8)]
    backend = lock_backends[using]
    with lock("a", using=using):
        for thread in threads:
            thread.start()
        wait_until(lambda: len(backend.inspect("a")[1]) == 8)
    for thread in threads:
        thread.join()
    assert not meeting.broken


@pytest.mark.parametrize("using", ["default", "memory"])
def test_readers_wait_behind_a_writer(using: str) -> None:
    order: list[str] = []

    def take(what: str, **options: object) -> threading.Thread:
        def run() -> None:
            with lock("a", using=using, wait=30, **options):
                order.append(what)

        before = len(backend.inspect("a")[1])
        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: len(backend.inspect("a")[1]) == before + 1)
        return thread

    backend = lock_backends[using]
    with lock("a", using=using, shared=True):
        threads = [take("writer"), take("reader", shared=True)]
    for thread in threads:
        thread.join()
    assert order == ["writer", "reader"]
