"""Forked children of a process, which forget its locks."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from threading import current_thread

from django_redislock import lock
from django_redislock.local.registry import registry
from django_redislock.process import Process, process
from tests.concurrency.forking import failures
from tests.support.forks import in_silent_child
from tests.support.interruptions import PACKAGE, interrupt, steps_of, stop
from tests.support.places import Place
from tests.support.processes import Workers


def child_that_is_interrupted_while_it_forgets(place: Place) -> list[str]:
    """A signal may reach the child at any place of its first look at its process."""
    place.use()
    forgotten: list[int] = []
    process.in_child(lambda: forgotten.append(os.getpid()))

    def child(at: int) -> list[str]:
        interrupt(process.look, at=at, inside=PACKAGE)
        process.look()
        return failures(
            nothing_is_inherited=not registry.holds, all_is_forgotten=os.getpid() in forgotten
        )

    with lock("a", lease=60):
        return [what for at in range(0, 30, 2) for what in in_silent_child(partial(child, at))]


def test_a_child_that_is_interrupted_while_it_forgets_starts_again(
    place: Place, workers: Workers
) -> None:
    assert workers.start(child_that_is_interrupted_while_it_forgets, place).result() == []


def first_look() -> tuple[Callable[[], None], list[str]]:
    """A thread's first look in a child whose fork went unnoticed, and what it takes then."""
    child = Process()
    child.pid = -1
    taken: list[str] = []
    child.in_child(taken.clear)

    def look_and_take() -> None:
        child.look()
        taken.append(current_thread().name)

    return look_and_take, taken


def test_no_thread_of_a_child_forgets_what_another_has_taken() -> None:
    wrong = []
    for place in range(steps_of(first_look()[0])):
        look_and_take, taken = first_look()
        stop(look_and_take, look_and_take, at=place)
        if len(taken) != 2:
            wrong.append((place, taken))
    assert wrong == []
