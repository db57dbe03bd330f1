"""Views under a lock that call, or wrap, another view under a lock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from django_redislock import locked_view

from .requests import content, holds, request

pytestmark = pytest.mark.django_db  # Django closes old connections when a response is closed

OPTIONS: dict[str, Any] = {"using": "memory"}


def held() -> str:
    return f"{holds('outer', 'memory')}{holds('inner', 'memory')}"


@locked_view("inner", **OPTIONS)
def inner(request: Any) -> HttpResponse:
    return HttpResponse(request.lock.name)


@locked_view("inner", **OPTIONS)
def fails(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


def test_each_of_two_nested_views_finds_its_own_lock() -> None:
    @locked_view("outer", **OPTIONS)
    def outer(request: Any) -> HttpResponse:
        mine = request.lock
        answer = content(inner(request))
        assert request.lock is mine
        with pytest.raises(ZeroDivisionError):
            fails(request)
        return HttpResponse(f"{answer} in {request.lock.name}")

    made = request()
    assert content(outer(made)) == "inner in outer"
    assert content(inner(made)) == "inner"


async def test_each_of_two_nested_coroutine_views_finds_its_own_lock() -> None:
    @locked_view("inner", **OPTIONS)
    async def inner(request: Any) -> HttpResponse:
        return HttpResponse(request.lock.name)

    @locked_view("outer", **OPTIONS)
    async def outer(request: Any) -> HttpResponse:
        answer = content(await inner(request))
        return HttpResponse(f"{answer} in {request.lock.name}")

    assert content(await outer(request())) == "inner in outer"


def test_a_nested_view_without_a_lock_keeps_that_of_the_other() -> None:
    @locked_view("outer", **OPTIONS)
    @locked_view("inner", methods=["DELETE"], **OPTIONS)
    def view(request: Any) -> HttpResponse:
        return HttpResponse(request.lock.name)

    assert content(view(request())) == "outer"


def test_a_stream_keeps_the_locks_of_both_views() -> None:
    def rows() -> Iterator[str]:
        yield held()

    @locked_view("outer", **OPTIONS)
    @locked_view("inner", **OPTIONS)
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(rows())

    response = view(request())
    assert response.getvalue() == b"11"
    assert held() == "00"
    response.close()


async def test_an_async_stream_keeps_the_locks_of_both_views() -> None:
    async def rows() -> AsyncIterator[str]:
        yield held()

    @locked_view("outer", **OPTIONS)
    @locked_view("inner", **OPTIONS)
    async def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(rows())

    response = await view(request())
    assert [part async for part in response] == [b"11"]
    assert held() == "00"


def test_the_end_of_a_request_ends_the_streams_of_all_its_views() -> None:
    closed: list[str] = []

    def rows(name: str) -> Iterator[str]:
        try:
            yield name
        finally:
            closed.append(f"{name} {held()}")
            raise ZeroDivisionError

    def view(name: str) -> Any:
        lock_it = locked_view(name, **OPTIONS)
        return lock_it(lambda request: StreamingHttpResponse(rows(name)))

    made = request()
    responses = [view("outer")(made), view("inner")(made)]
    assert [next(iter(one)) for one in responses] == [b"outer", b"inner"]
    with pytest.raises(ZeroDivisionError):
        made.close()
    assert closed == ["outer 11", "inner 01"]
    assert held() == "00"
