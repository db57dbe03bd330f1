"""Uncontended pairs of acquire and release: their speed, and the functions they run."""

from __future__ import annotations

import asyncio
import cProfile
import os
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from .contestants import WAIT, async_guard, guard

__all__ = [
    "VARIANTS",
    "functions_entered",
    "pairs",
    "pairs_a_second",
    "pairs_of_many_names",
    "task_pairs_a_second",
    "variant_a_second",
]

WARM_UP = 20  # pairs
NAME = "uncontended"
MANY = 64  # names, spread over all buckets

Pair = Callable[[], object]


def pairs_a_second(contestant: str, seconds: float) -> float:
    return _rate(pair_of(contestant), seconds)


def variant_a_second(variant: str, seconds: float) -> float:
    return _rate(_variant(variant), seconds)


def pairs(contestant: str, cycles: int) -> None:
    pair = pair_of(contestant)
    for _ in range(cycles):
        pair()


def functions_entered(contestant: str, cycles: int) -> float:
    """Return how many Python functions a pair enters, counted by code object.

    ``pstats`` would merge functions with the same file, line and name, such as the ``__new__`` of
    all named tuples. Functions of this folder do not count.
    """
    pairs(contestant, WARM_UP)
    pair = pair_of(contestant)
    profiler = cProfile.Profile(builtins=False)
    profiler.enable()
    for _ in range(cycles):
        pair()
    profiler.disable()
    here = str(Path(__file__).parent)
    entered = sum(
        entry.callcount
        for entry in profiler.getstats()
        if not isinstance(entry.code, str) and not entry.code.co_filename.startswith(here)
    )
    return entered / cycles


def pairs_of_many_names(seconds: float) -> tuple[int, float]:
    """Return the number of our pairs, cycling through the names, and their CPU time (seconds)."""
    from django_redislock import lock

    names = [f"capacity:{os.getpid()}:{number}" for number in range(MANY)]
    count, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        for name in names:
            with lock(name, wait=WAIT):
                pass
        count += MANY
    return count, time.process_time() - cpu


@cache
def pair_of(contestant: str) -> Pair:
    take = guard(contestant)

    def pair() -> None:
        with take(NAME):
            pass

    return pair


def _rate(pair: Pair, seconds: float) -> float:
    for _ in range(WARM_UP):
        pair()
    count = 0
    now = began = time.perf_counter()
    while now < began + seconds:
        pair()
        count += 1
        now = time.perf_counter()
    return count / (now - began)


def task_pairs_a_second(contestant: str, seconds: float) -> float:
    """The same for one task, on an event loop that lives as long as the process."""
    return _loop().run_until_complete(_task_rate(contestant, seconds))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _task_rate(contestant: str, seconds: float) -> float:
    take = async_guard(contestant)
    for _ in range(WARM_UP):
        async with take(NAME):
            pass
    count = 0
    now = began = time.perf_counter()
    while now < began + seconds:
        async with take(NAME):
            pass
        count += 1
        now = time.perf_counter()
    return count / (now - began)


@cache
def _variant(title: str) -> Pair:
    return VARIANTS[title]()


def _with(renew: bool) -> Pair:
    from django_redislock import lock

    def pair() -> None:
        with lock("variant:7", wait=WAIT, renew=renew):
            pass

    return pair


def _not_waiting() -> Pair:
    """The default of ``locked_view``: a template and no wait."""
    from django_redislock import lock

    number = 7

    def pair() -> None:
        with lock(f"variant:{number}", wait=0):
            pass

    return pair


def _view() -> Pair:
    from django.http import HttpRequest, HttpResponse

    from django_redislock import locked_view

    request, response = HttpRequest(), HttpResponse()
    request.method = "POST"

    @locked_view("variant:{number}")
    def view(request: HttpRequest, number: int) -> HttpResponse:
        return response

    return lambda: view(request, number=7)


RENEWED, NOT_RENEWED = "renewed", "not renewed"
PLAIN, VIEW = "a pair that does not wait", "locked_view"
# Variants of our own lock that are compared with each other.
VARIANTS: dict[str, Callable[[], Pair]] = {
    RENEWED: partial(_with, renew=True),
    NOT_RENEWED: partial(_with, renew=False),
    PLAIN: _not_waiting,
    VIEW: _view,
}
