"""Processes that are killed or frozen while they hold a lock, or wait for one.

Times are read from the server's clock. The best of a few tries counts, because the machine may be
busy, while a real error shows in every try.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from django_redislock import LockLost, lock, lock_backends
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import WorkerFailed, Workers, context, kill_hard, wait_until
from tests.support.tries import best_of

GRANT_LEASE = 0.5

pytestmark = pytest.mark.timeout(240)  # for additional tries on a busy machine


@pytest.fixture
def quick(use: UsePlace, redis_url: str) -> Any:
    """A place whose grant lease is half a second."""
    return use(redis_url, entry={"OPTIONS": {"grant_lease": GRANT_LEASE}})


def queue_up(workers: Workers, place: Place, name: str, **options: Any) -> Any:
    before = jobs.queue_length(name)
    worker = workers.start(jobs.take, place, name, options)
    wait_until(lambda: jobs.queue_length(name) == before + 1)
    return worker


def test_a_killed_holder_frees_the_lock_within_its_lease(place: Place, workers: Workers) -> None:
    lease = 1.0

    def measure(attempt: Any) -> Any:
        name = f"try {attempt}"
        held_as = context.Queue()
        holder = workers.start(jobs.hold, place, name, held_as, {"lease": lease})
        held_as.get()
        waiter = queue_up(workers, place, name)
        time.sleep(lease * 1.2)  # so that it has been renewed
        holder.kill()
        died = jobs.server_time(place)
        _, granted = waiter.result()
        # Granted before: the machine was suspended for so long that the holder had lost the lock.
        return granted - died if granted > died else None

    assert best_of(measure, lease + 0.1) < lease + 0.1


def test_a_killed_waiter_does_not_stall_the_queue(place: Place, workers: Workers) -> None:
    def measure(attempt: Any) -> Any:
        name = f"try {attempt}"
        with lock(name):
            dead = queue_up(workers, place, name)
            alive = queue_up(workers, place, name)
            dead.kill()
            released = jobs.server_time(place)
        _, granted = alive.result()
        return granted - released

    assert best_of(measure, 0.05) < 0.05


def wait_and_fork(place: Place, name: str, children: Any) -> None:
    """Wait for a lock in a process that has forked a child meanwhile."""
    place.use()

    threading.Thread(target=lock(name, wait=jobs.FOR_EVER).acquire, daemon=True).start()
    wait_until(lambda: jobs.queue_length(name) == 1)
    children.put(jobs.sleep_as_child())
    threading.Event().wait(jobs.FOR_EVER)


def test_a_killed_waiter_whose_child_lives_on_does_not_stall_the_queue(
    place: Place, workers: Workers
) -> None:
    """While the child keeps the wake-up connection open, its parent seems to listen."""

    def measure(attempt: Any) -> Any:
        name = f"try {attempt}"
        children = context.Queue()
        with lock(name):
            dead = workers.start(wait_and_fork, place, name, children)
            child = children.get()
            alive = queue_up(workers, place, name)
            dead.kill()
            released = jobs.server_time(place)
        _, granted = alive.result()
        kill_hard(child)
        return granted - released

    assert best_of(measure, 0.05) < 0.05


@pytest.mark.parametrize("others", ["in this process", "in another process"])
def test_a_frozen_first_waiter_stalls_the_queue_for_its_grant_lease_at_most(
    quick: Any, workers: Workers, others: Any
) -> None:
    def measure(attempt: Any) -> Any:
        name = f"try {attempt}"
        with lock(name):
            frozen = queue_up(workers, quick, name)
            alive = queue_up(workers, quick, name) if others == "in another process" else None
            frozen.freeze()
            released = jobs.server_time(quick)
        try:
            if alive is not None:
                fence, granted = alive.result()
            else:
                with lock(name, wait=30) as held:
                    fence, granted = held.fence, jobs.since(name)
        except (LockLost, LookupError, WorkerFailed):
            return None  # this process or the other waiter was suspended for a whole grant lease
        frozen.thaw()
        late_fence, _ = frozen.result()
        assert late_fence > fence, "the frozen waiter has queued again, and held after the other"
        return granted - released

    assert best_of(measure, GRANT_LEASE + 0.1) < GRANT_LEASE + 0.1


def test_a_frozen_process_stalls_the_queue_for_one_grant_lease_only(
    quick: Any, workers: Workers
) -> None:
    def measure(attempt: Any) -> Any:
        name = f"try {attempt}"
        with lock(name):
            frozen = workers.start(jobs.take_in_threads, quick, name, 4)
            wait_until(lambda: jobs.queue_length(name) == 4)
            others = [queue_up(workers, quick, name) for _ in range(2)]
            frozen.freeze()
            released = jobs.server_time(quick)
        try:
            taken = [other.result() for other in others]
        except (LockLost, WorkerFailed):
            return None  # it was too slow to confirm a hand-over
        frozen.thaw()
        last = max(fence for fence, _ in taken)
        assert min(frozen.result()) > last, "the frozen waiters have queued behind the others"
        return max(granted for _, granted in taken) - released

    assert best_of(measure, 2 * GRANT_LEASE) < 2 * GRANT_LEASE


def test_a_frozen_holder_sees_that_it_lost_and_has_a_lower_fence(
    place: Place, workers: Workers
) -> None:
    held_as = context.Queue()
    holder = workers.start(jobs.hold_until_lost, place, "a", held_as, {"lease": 0.5})
    _, fence = held_as.get()
    holder.freeze()
    with lock("a", wait=30) as held:
        assert held.fence > fence
        holder.thaw()
        reported, reason, _ = holder.result()
        held.check()
    assert reported
    assert "lease ran out" in reason


def test_a_killed_writer_does_not_keep_readers_out(place: Place, workers: Workers) -> None:
    with lock("a", shared=True, lease=30):
        writer = queue_up(workers, place, "a")
        assert not lock("a", shared=True).acquire(wait=0), "a living writer comes first"
        writer.kill()
        with lock("a", shared=True, wait=20):
            assert len(lock_backends["default"].inspect("a")[0]) == 2


def test_a_killed_semaphore_holder_frees_only_its_own_permit(
    place: Place, workers: Workers
) -> None:
    held_as = context.Queue()
    holder = workers.start(jobs.hold, place, "a", held_as, {"lease": 0.5, "limit": 2})
    held_as.get()
    with lock("a", limit=2, lease=30), lock("other"):
        holder.kill()
        with lock("a", limit=2, wait=20):
            assert len(lock_backends["default"].inspect("a")[0]) == 2
