"""An interruption of a call at any place leaves no hold that the call itself cannot release."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_redislock import lock, lock_backends
from django_redislock.functions.decorator import locked
from tests.support.interruptions import Interruption, interrupt, places_in
from tests.support.settled import settle


@locked("function:{number}", lease=60)
def function(number: int) -> None:
    pass


@locked("generator:{number}", lease=60)
def generator(number: int) -> Iterator[int]:
    yield number


def interrupted_in(error: Interruption | None) -> str:
    """The innermost function that was interrupted, but for those that interrupted it."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    names = [frame.name for frame in frames if "/support/" not in frame.filename]
    return names[-1] if names else ""


# Some places are in the __del__() of a handle, whose exceptions Python only reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("call", "name"),
    [(function, "function"), (lambda number: list(generator(number)), "generator")],
    ids=["function", "generator"],
)
def test_nothing_is_held_after_an_interruption(call: Callable[[int], Any], name: str) -> None:
    call(-1)
    errors = []  # with their tracebacks, and so with the handles
    for place in range(2 * places_in(lambda: call(-1))):
        errors.append(interrupt(lambda: call(place), at=place))  # noqa: B023 - called at once
        with lock("another"):
            pass  # so that the next call finds a connection
    settle()
    left = []
    for place, error in enumerate(errors):
        for hold in lock_backends["default"].inspect(f"{name}:{place}")[0]:
            lock(hold.name, token=hold.token).release()
            left.append(interrupted_in(error))
    # At its beginning, no code of ours runs yet.
    assert set(left) <= {"__exit__"}
    assert len(left) <= 1
