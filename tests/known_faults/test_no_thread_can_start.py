"""Acquires in a process in which no thread can start."""

from __future__ import annotations

import pytest

from tests.known_faults import processes
from tests.support.places import Place
from tests.support.processes import Workers


@pytest.mark.parametrize("kind", ["thread", "task", "waiting thread", "waiting task"])
def test_an_acquire_leaves_nothing_behind_when_no_thread_can_start(
    workers: Workers, place: Place, kind: str
) -> None:
    _, held, queued = workers.start(processes.act_without_threads, place, kind).result()
    assert (held, queued) == ([], [])


@pytest.mark.parametrize("kind", ["thread", "task", "waiting thread", "waiting task"])
def test_an_acquire_returns_or_raises_a_lock_error_when_no_thread_can_start(
    workers: Workers, place: Place, kind: str
) -> None:
    said, _, _ = workers.start(processes.act_without_threads, place, kind).result()
    assert said in ("True", "False", "LockError")
