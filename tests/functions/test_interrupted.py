"""An interruption of a call at any place leaves no hold that the call itself cannot release."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from django_redislock.functions.decorator import locked
from tests.support.left_behind import left_behind


@locked("function:{number}", lease=60)
def function(number: int) -> None:
    pass


@locked("generator:{number}", lease=60)
def generator(number: int) -> Iterator[int]:
    yield number


@locked("coroutine:{number}", lease=60, using="memory")
async def coroutine(number: int) -> None:
    pass


@locked("async_generator:{number}", lease=60, using="memory")
async def async_generator(number: int) -> AsyncIterator[int]:
    yield number


async def items(number: int) -> None:
    async for _ in async_generator(number):
        pass


def run(steps: Any) -> None:
    """Run a coroutine that never suspends, with no place in the event loop itself."""
    assert not list(steps.__await__())


# Some places are in the __del__() of a handle, whose exceptions Python only reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("call", "name"),
    [(function, "function"), (lambda number: list(generator(number)), "generator")],
    ids=["function", "generator"],
)
def test_nothing_is_held_after_an_interruption(call: Callable[[int], Any], name: str) -> None:
    left = left_behind(call, name)
    # At its beginning, no code of ours runs yet.
    assert set(left) <= {"__exit__"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda number: run(coroutine(number)), "coroutine"),
        (lambda number: run(items(number)), "async_generator"),
    ],
    ids=["coroutine", "async_generator"],
)
async def test_nothing_is_held_after_an_interruption_of_a_coroutine(
    call: Callable[[int], Any], name: str
) -> None:
    left = left_behind(call, name, "memory")
    assert set(left) <= {"__aexit__"}
