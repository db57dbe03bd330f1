"""Refused uses of @locked, whose errors say what to write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from django_redislock import LockNotAcquired, locked, locked_method, locked_view
from tests.views.requests import holds


def test_a_plain_function_that_returns_a_coroutine_is_refused() -> None:
    async def import_feed() -> None:
        raise AssertionError("it ran, and the lock was released before")

    @locked("feed", using="memory")
    def passed_on() -> Any:
        return import_feed()

    with pytest.raises(TypeError, match=r"passed_on returned a coroutine, which would not run und"):
        passed_on()
    assert holds("feed", "memory") == 0


@pytest.mark.parametrize("kind", ["a generator", "an async generator"])
def test_a_function_that_returns_a_generator_is_refused(kind: str) -> None:
    """Its body would run after the release."""

    def items() -> Iterator[int]:
        raise AssertionError("it ran, and the lock was released before")
        yield 1

    async def async_items() -> AsyncIterator[int]:
        raise AssertionError("it ran, and the lock was released before")
        yield 1

    @locked("feed", using="memory")
    def passed_on() -> Any:
        return items() if kind == "a generator" else async_items()

    @locked("feed", using="memory")
    async def passed_on_later() -> Any:
        return items() if kind == "a generator" else async_items()

    message = rf"passed_on\w* returned {kind}, which would not run under the lock: .*`yield`"
    with pytest.raises(TypeError, match=message):
        passed_on()
    with pytest.raises(TypeError, match=message):
        asyncio.run(passed_on_later())
    assert holds("feed", "memory") == 0


def test_the_error_for_a_missing_name_says_what_to_write() -> None:
    @locked
    def import_feed(feed_id: int) -> None: ...

    for call in (import_feed, partial(import_feed, 7)):
        with pytest.raises(
            TypeError, match=r'needs the name of the lock: @locked\("feed:{feed_id}'
        ):
            call()


def test_a_class_is_refused() -> None:
    with pytest.raises(TypeError, match="@locked decorates a function, not <class"):
        locked("feed")(int)


@pytest.mark.parametrize("decorate", [locked("feed"), locked_view("feed")])
def test_locked_above_an_operation_of_django_ninja_is_refused(decorate: Any) -> None:
    def get(function: Any) -> Any:
        """Register the function and return it, marked, like Django Ninja's ``api.get()``."""
        function._ninja_operation = object()
        return function

    with pytest.raises(TypeError, match=r"operation of .* Ninja.*below.*directly above the `def`"):

        @decorate
        @get
        def feed(request: Any) -> None: ...


@pytest.mark.parametrize("decorate", [locked("feed"), locked_view("feed"), locked_method("feed")])
def test_locked_above_an_object_that_hides_its_arguments_is_refused(decorate: Any) -> None:
    async def feed(request: Any) -> None: ...

    with pytest.raises(TypeError, match=r"AsyncToSync .* shows no arguments.*directly above the"):
        decorate(async_to_sync(feed))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_place_of_a_callable_is_refused(error: type[BaseException]) -> None:
    """It would be returned, as if it were what the function returns."""
    with pytest.raises(TypeError, match=f"on_busy would return {error.__name__}, not raise it"):
        locked("feed", on_busy=error)(plain)
    with pytest.raises(TypeError, match="on_busy would return"):
        locked_view("feed", on_busy=error)(lambda request: None)


async def later(error: LockNotAcquired) -> None: ...


async def name_later() -> str:
    return "feed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_busy": "wait"}, "on_busy must be 'raise', 'skip', 'retry' or a callable, not 'wait'"),
        ({"on_busy": None}, "on_busy must be 'raise', 'skip', 'retry' or a callable, not None"),
        ({"default": 1}, "default is what a skipped call returns: it needs on_busy='skip'"),
        ({"wait": -1}, "wait must be 0 or more seconds, not -1"),
        ({"lease": 0}, "lease must be"),
        ({"max_hold": "1"}, "max_hold must be"),
        ({"limit": 0}, "limit must be a whole number from 1 to 2147483646, not 0"),
        ({"limit": 2, "shared": True}, "limit and shared exclude each other"),
        ({"on_lost": "tell"}, "on_lost must be a callable that gets the handle, not 'tell'"),
        ({"min_hold": "5"}, "min_hold must be a number of seconds or a timedelta, not '5'"),
        ({"min_hold": 5, "reentrant": True}, "min_hold and reentrant exclude each other"),
    ],
)
def test_invalid_options_are_refused_when_decorating(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        locked("feed", **options)


def plain() -> None: ...


def test_coroutine_functions_as_options_of_a_plain_function_are_refused() -> None:
    with pytest.raises(TypeError, match="is not a coroutine function: its name and on_busy cannot"):
        locked("feed", on_busy=later)(plain)
    with pytest.raises(TypeError, match="is not a coroutine function"):
        locked(name_later)(plain)


def test_a_field_that_the_function_lacks_is_refused_when_decorating() -> None:
    with pytest.raises(
        ValueError, match=r"mentions {feed}, which is not an argument of .*import_feed\(x\)\."
    ):

        @locked("feed:{feed}")
        def import_feed(x: int) -> None: ...
