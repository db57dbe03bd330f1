"""Streaming responses that nobody reads to the end or closes."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.test import AsyncClient, AsyncRequestFactory
from django.urls import path
from django.utils.decorators import sync_and_async_middleware
from rest_framework.views import APIView

from django_redislock import LockedViewMixin, locked_view

from .requests import holds, request
from .test_streaming import lose, streaming, streaming_async

pytestmark = pytest.mark.django_db  # Django closes old connections when a response is closed


@locked_view("export")
def unchanged(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(["rows"]), headers={"ETag": '"same"'})


@locked_view("export")
async def unchanged_async(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(aiter_rows(), headers={"ETag": '"same"'})


async def aiter_rows() -> AsyncIterator[str]:
    yield "rows"


class Unchanged(LockedViewMixin, APIView):
    """Views and requests of REST framework refer to each other, and to the response."""

    lock_name = "export"
    permission_classes = ()

    def get(self, request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(iter(["rows"]), headers={"ETag": '"same"'})


urlpatterns = [
    path("unchanged-rest/", Unchanged.as_view()),
    path("async/", streaming_async("default")),
    path("unchanged/", unchanged),
    path("unchanged-async/", unchanged_async),
]


@pytest.fixture
def _no_garbage_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("_no_garbage_collector")
@pytest.mark.parametrize("url", ["unchanged", "unchanged-async"])
async def test_a_stream_whose_content_is_replaced_releases_the_lock(url: str) -> None:
    """Django's test clients do so after a HEAD request, and then do not close the response."""
    response = await AsyncClient().head(f"/{url}/")
    await until_released("default")
    assert response.status_code == 200


@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("_no_garbage_collector")
@pytest.mark.parametrize("url", ["unchanged", "unchanged-async", "unchanged-rest"])
async def test_a_stream_that_a_middleware_drops_releases_the_lock(settings: Any, url: str) -> None:
    settings.MIDDLEWARE = ["django.middleware.http.ConditionalGetMiddleware"]
    response = await AsyncClient().get(f"/{url}/", headers={"if-none-match": '"same"'})
    assert response.status_code == 304
    if sys.version_info < (3, 11):
        gc.collect()  # asgiref's own frames form a cycle there
    await until_released("default")  # tasks of Django's handler may know it still


@sync_and_async_middleware
def failing(get_response: Any) -> Any:
    """A middleware that is in the way of every response, and keeps it."""

    async def middleware(request: HttpRequest) -> None:
        request.response = await get_response(request)  # type: ignore[attr-defined]
        raise ZeroDivisionError

    return middleware


@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("_no_garbage_collector")
@pytest.mark.parametrize("url", ["unchanged", "unchanged-async", "unchanged-rest"])
async def test_a_stream_after_which_a_middleware_fails_releases_the_lock(
    settings: Any, url: str
) -> None:
    """Under ASGI the traceback of the error is part of a cycle, which has the response."""
    settings.MIDDLEWARE = [f"{__name__}.failing"]
    response = await AsyncClient(raise_request_exception=False).get(f"/{url}/")
    assert response.status_code == 500
    assert holds("export", "default") == 0


@pytest.mark.usefixtures("_no_garbage_collector")
@pytest.mark.parametrize("make", [streaming, streaming_async])
async def test_a_stream_that_is_dropped_needs_no_garbage_collector(make: Any, alias: str) -> None:
    response = make(alias)(request())
    if make is streaming_async:
        response = await response
    assert holds("export", alias) == 1
    del response
    assert holds("export", alias) == 0


@pytest.mark.usefixtures("_no_garbage_collector")
def test_a_partly_read_stream_that_is_dropped_ends_before_the_lock_does(alias: str) -> None:
    view = streaming(alias)
    response = view(request())
    assert next(iter(response)) == b"1 "
    del response
    assert view.closed == [1]
    assert holds("export", alias) == 0


@pytest.mark.usefixtures("_no_garbage_collector")
async def test_a_partly_read_async_stream_that_is_dropped_ends_before_the_lock_does(
    alias: str,
) -> None:
    view = streaming_async(alias)
    response = await view(request())
    assert await anext(aiter(response)) == b"1 "
    del response
    await until_released(alias)
    assert view.closed == [1]


async def until_released(alias: str) -> None:
    deadline = time.monotonic() + 5  # well before the lease ends
    while holds("export", alias):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


# Django does not close the body of the request either.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("_no_garbage_collector")
async def test_a_server_that_cannot_send_a_stream_leaves_no_lock() -> None:
    """Django neither reads nor closes the response any more, and its task is part of a cycle."""

    async def receive() -> Any:
        received.append(1)
        if len(received) > 1:
            await asyncio.Event().wait()
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError("the server cannot send this")

    received: list[int] = []
    scope = AsyncRequestFactory()._base_scope(path="/async/")
    with pytest.raises(OSError, match="cannot send"):
        await get_asgi_application()(scope, receive, send)
    await until_released("default")
    gc.collect()


def test_dropping_a_stream_that_lost_its_lock_raises_nothing() -> None:
    response = streaming("memory")(request())
    lose("export")
    del response
    gc.collect()


def test_a_stream_dropped_within_a_cycle_releases_the_lock() -> None:
    response = streaming("memory")(request())
    response.itself = response
    del response
    gc.collect()  # a handle that was dropped before its release would warn
    assert holds("export", "memory") == 0
