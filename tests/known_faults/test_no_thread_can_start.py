"""Where no thread can be started, the caller itself takes its claim back, and is told."""

from __future__ import annotations

import pytest

from tests.known_faults import processes
from tests.support.places import Place
from tests.support.processes import Workers


@pytest.mark.parametrize("kind", ["thread", "task", "waiting thread", "waiting task"])
def test_nothing_is_left(workers: Workers, place: Place, kind: str) -> None:
    _, held, queued = workers.start(processes.act_without_threads, place, kind).result()
    assert (held, queued) == ([], [])


@pytest.mark.parametrize("kind", ["thread", "task", "waiting thread", "waiting task"])
def test_the_answer_is_one_of_ours(workers: Workers, place: Place, kind: str) -> None:
    said, _, _ = workers.start(processes.act_without_threads, place, kind).result()
    assert said in ("True", "False", "LockError")
