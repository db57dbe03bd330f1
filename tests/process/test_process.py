"""Forked children of a process, which forget its locks."""

from __future__ import annotations

import ctypes
import os
from functools import partial

from django_redislock import lock
from django_redislock.local.registry import registry
from django_redislock.process import process
from tests.concurrency.forking import failures, in_child
from tests.support.interruptions import PACKAGE, interrupt
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
        silent_fork = ctypes.PyDLL(None).fork
        return [
            what for at in range(0, 30, 2) for what in in_child(partial(child, at), silent_fork)
        ]


def test_a_child_that_is_interrupted_while_it_forgets_starts_again(
    place: Place, workers: Workers
) -> None:
    assert workers.start(child_that_is_interrupted_while_it_forgets, place).result() == []
