"""The memory backend: the contract, and its own properties."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.memory import MemoryLockBackend
from django_redislock.conf import LockConfig
from django_redislock.testing.contract import BackendContract
from django_redislock.testing.driver import SHORT, Verbs, outlive
from tests.support.processes import wait_until


@pytest.fixture
def backend() -> MemoryLockBackend:
    return MemoryLockBackend(LockConfig(), grant_lease=20)


class TestContract(BackendContract):
    pass


def test_two_aliases_do_not_share_locks(settings: Any) -> None:
    entry = {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}
    settings.LOCKS = {"default": entry, "other": entry}
    with lock("a"), lock("a", using="other", wait=0):
        pass


def test_holds_that_ended_by_themselves_are_forgotten(backend: Any) -> None:
    verbs = Verbs(backend, None)
    for round_ in range(6):
        for number in range(150):
            verbs.hold(verbs.claim(f"{round_} {number}", lease=SHORT))
        outlive()
    assert len(backend._names) <= 450


def test_a_forked_child_begins_without_locks(settings: Any) -> None:
    settings.LOCKS = {"default": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}}
    with lock("a"):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if lock("a").acquire(wait=0) and lock_backends["default"].list() else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_threads_lose_no_update(settings: Any) -> None:
    """Many increments of a counter; tests/concurrency does the same with processes."""
    settings.LOCKS = {"default": {"BACKEND": "django_redislock.backends.memory.MemoryLockBackend"}}
    threads, rounds = 8, 250
    counter = 0
    inside = 0

    def increment() -> None:
        nonlocal counter, inside
        for _ in range(rounds):
            with lock("counter", wait=50):
                inside += 1
                read = counter
                os.sched_yield()
                counter = read + inside
                inside -= 1

    running = [threading.Thread(target=increment) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert counter == threads * rounds
    wait_until(lambda: lock_backends["default"].list().total == 0)
