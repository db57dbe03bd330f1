"""An interruption of a view at any place leaves no hold that the view itself cannot release."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from django_redislock import locked_view
from tests.support.left_behind import left_behind

from .requests import request

pytestmark = [
    pytest.mark.django_db,  # Django closes old connections when a response is closed
    # Some places are in the __del__() of a handle, whose exceptions Python only reports.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@locked_view("view:{number}", lease=60)
def plain(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse()


@locked_view("view:{number}", lease=60)
def streamed(request: HttpRequest, number: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(rows())


def rows() -> Iterator[bytes]:
    yield b"row"


@locked_view("view:{number}", lease=60, using="memory")
@markcoroutinefunction
def plain_async(request: HttpRequest, number: int) -> HttpResponse:
    # No coroutine, which would warn if it was interrupted before its first step.
    return HttpResponse()


@locked_view("view:{number}", lease=60, using="memory")
@markcoroutinefunction
def streamed_async(request: HttpRequest, number: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(arows())


async def arows() -> AsyncIterator[bytes]:
    yield b"row"


def test_nothing_is_held_after_an_interruption() -> None:
    left = left_behind(lambda number: plain(request(), number=number), "view")
    # At its beginning, no code of ours runs yet.
    assert set(left) <= {"__exit__"}


def test_a_stream_that_was_interrupted_before_it_began_is_not_held() -> None:
    responses: list[Any] = []  # a response keeps its lock, and so does a traceback with one
    left = left_behind(
        lambda number: responses.append(streamed(request(), number=number)),
        "view",
        afterwards=responses.clear,
    )
    assert left == []


async def test_nothing_is_held_after_an_interruption_of_a_coroutine() -> None:
    def run(number: int) -> None:
        # A coroutine that never suspends needs no event loop, which must not be broken.
        assert not list(plain_async(request(), number=number).__await__())

    left = left_behind(run, "view", "memory")
    assert set(left) <= {"__aexit__"}


async def test_an_async_stream_that_was_interrupted_before_it_began_is_not_held() -> None:
    async def view(number: int) -> None:
        responses.append(await streamed_async(request(), number=number))

    responses: list[Any] = []
    left = left_behind(
        lambda number: list(view(number).__await__()),
        "view",
        "memory",
        afterwards=responses.clear,
    )
    assert left == []
