"""Forked children, which inherit nothing. `forking.py` has the checks."""

from __future__ import annotations

from typing import Any

import pytest

from django_redislock import lock
from tests.concurrency import forking
from tests.support.places import Place
from tests.support.processes import Workers, context, kill_hard


@pytest.mark.parametrize(
    "attempt",
    [
        forking.child_holds_nothing,
        forking.child_of_a_silent_fork,
        forking.first_in_a_silent_fork,
        forking.child_with_an_unused_handle,
        forking.children_of_forks_during_calls,
        forking.child_of_a_fork_beside_an_acquire,
        forking.child_waits,
        forking.child_after_many_threads,
        forking.child_in_a_transaction,
        forking.with_multiprocessing,
    ],
)
def test_a_forked_child_inherits_nothing(place: Place, workers: Workers, attempt: Any) -> None:
    assert workers.start(attempt, place).result() == []


def test_a_forked_child_inherits_no_locks_in_memory(workers: Workers) -> None:
    assert workers.start(forking.in_memory).result() == []


def test_the_lock_of_a_killed_parent_ends_while_its_child_lives(
    place: Place, workers: Workers
) -> None:
    started = context.Queue()
    parent = workers.start(forking.hold_and_fork, place, started)
    child, _ = started.get()
    parent.kill()
    try:
        with lock("a", wait=20):
            pass
    finally:
        kill_hard(child)
