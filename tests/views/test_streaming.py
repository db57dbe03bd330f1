"""Streaming responses, which keep the lock until they have been sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_redislock import LockLost, lock_backends, locked_view

from .requests import holds, request

pytestmark = pytest.mark.django_db  # Django closes old connections when a response is closed


def streaming(alias: str, error: Exception | None = None) -> Any:
    def rows() -> Iterator[str]:
        try:
            for _ in range(2):
                yield f"{holds('export', alias)} "
            if error is not None:
                raise error
        finally:
            closed.append(holds("export", alias))

    @locked_view("export", using=alias)
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(rows())

    closed: list[int] = []
    view.closed = closed
    return view


def streaming_async(alias: str) -> Any:
    async def rows() -> AsyncIterator[str]:
        try:
            for _ in range(2):
                await asyncio.sleep(0)
                yield f"{holds('export', alias)} "
        finally:
            await asyncio.sleep(0)
            closed.append(holds("export", alias))

    @locked_view("export", using=alias)
    async def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(rows())

    closed: list[int] = []
    view.closed = closed
    return view


def test_the_lock_is_held_until_the_end_of_a_stream(alias: str) -> None:
    view = streaming(alias)
    response = view(request())
    assert holds("export", alias) == 1
    assert response.getvalue() == b"1 1 "
    assert view.closed == [1]
    assert holds("export", alias) == 0
    response.close()


def test_a_partly_read_stream_releases_the_lock_when_it_is_closed(alias: str) -> None:
    view = streaming(alias)
    response = view(request())
    assert next(iter(response)) == b"1 "
    response.close()
    assert view.closed == [1]
    assert holds("export", alias) == 0

    response = view(request())
    assert holds("export", alias) == 1
    response.close()
    assert holds("export", alias) == 0


def test_a_stream_that_fails_releases_the_lock(alias: str) -> None:
    response = streaming(alias, KeyError("mine"))(request())
    with pytest.raises(KeyError, match="mine"):
        response.getvalue()
    assert holds("export", alias) == 0


def lose(name: str) -> None:
    (hold,), _ = lock_backends["memory"].inspect(name)
    assert lock_backends["memory"].force_release(name, hold.token)


def test_a_stream_that_lost_its_lock_raises_at_its_end() -> None:
    response = streaming("memory")(request())
    lose("export")
    with pytest.raises(LockLost):
        response.getvalue()


def test_closing_an_unread_stream_that_lost_its_lock_raises_nothing() -> None:
    response = streaming("memory")(request())
    lose("export")
    response.close()


async def test_the_lock_is_held_until_the_end_of_an_async_stream(alias: str) -> None:
    response = await streaming_async(alias)(request())
    assert holds("export", alias) == 1
    assert [part async for part in response] == [b"1 ", b"1 "]
    assert holds("export", alias) == 0
    await sync_to_async(response.close)()  # as Django does


async def test_a_partly_read_async_stream_releases_the_lock_when_it_is_closed(alias: str) -> None:
    view = streaming_async(alias)
    response = await view(request())
    assert await anext(aiter(response)) == b"1 "
    await sync_to_async(response.close)()  # as Django does when the client has gone away
    assert view.closed == [1]
    assert holds("export", alias) == 0

    response = await view(request())
    assert holds("export", alias) == 1
    await asyncio.to_thread(response.close)
    assert holds("export", alias) == 0


class Rows:
    """An iterable without a ``close`` of its own, for `for` loops."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def __iter__(self) -> Iterator[str]:
        try:
            yield "plain"
            yield "€"
        finally:
            self.closed.append(holds("export", "memory"))


class AsyncRows(Rows):
    # Django treats everything with ``__iter__`` as synchronous.
    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> AsyncIterator[str]:
        for row in Rows.__iter__(self):
            yield row


async def test_a_stream_that_cannot_be_encoded_releases_the_lock() -> None:
    @locked_view("export", using="memory")
    def view(request: HttpRequest, rows: Rows) -> StreamingHttpResponse:
        return StreamingHttpResponse(rows, content_type="text/plain; charset=ascii")

    rows = Rows()
    with pytest.raises(UnicodeEncodeError):
        list(view(request(), rows=rows))
    assert rows.closed == [1]
    rows = AsyncRows()
    with pytest.raises(UnicodeEncodeError):
        [part async for part in view(request(), rows=rows)]
    assert rows.closed == [1]
    assert holds("export", "memory") == 0


async def test_an_async_stream_that_lost_its_lock_raises_at_its_end() -> None:
    response = await streaming_async("memory")(request())
    lose("export")
    with pytest.raises(LockLost):
        [part async for part in response]


def test_a_file_is_sent_without_the_lock() -> None:
    @locked_view("export", using="memory")
    def view(request: HttpRequest) -> FileResponse:
        return FileResponse(BytesIO(b"rows"))

    response = view(request())
    assert holds("export", "memory") == 0
    assert response.file_to_stream is not None  # the server may send it by itself
    assert response.getvalue() == b"rows"
    response.close()


def test_a_file_response_with_a_generator_keeps_the_lock() -> None:
    def rows() -> Iterator[bytes]:
        yield str(holds("export", "memory")).encode()

    @locked_view("export", using="memory")
    def view(request: HttpRequest) -> FileResponse:
        return FileResponse(rows(), filename="rows.csv")

    response = view(request())
    assert response.getvalue() == b"1"
    assert holds("export", "memory") == 0
    response.close()


def test_a_stream_of_a_view_that_needed_no_lock_is_not_changed() -> None:
    @locked_view("export", using="memory", methods=["POST"])
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(["rows"])

    assert view(request("GET")).getvalue() == b"rows"


urlpatterns = [
    path("sync/", streaming("default")),
    path("async/", streaming_async("default")),
]


@pytest.mark.urls(__name__)
def test_a_stream_keeps_the_lock_in_the_handlers_of_django(client: Client) -> None:
    response: Any = client.get("/sync/")
    assert holds("export", "default") == 1
    assert response.getvalue() == b"1 1 "
    assert holds("export", "default") == 0


@pytest.mark.urls(__name__)
async def test_a_stream_keeps_the_lock_in_the_async_handlers_of_django() -> None:
    response: Any = await AsyncClient().get("/async/")
    assert holds("export", "default") == 1
    assert [part async for part in response] == [b"1 ", b"1 "]
    assert holds("export", "default") == 0


async def test_an_async_stream_may_have_one_reader_after_another() -> None:
    response = await streaming_async("memory")(request())
    for _ in range(2):
        assert await anext(aiter(response.streaming_content)) == b"1 "
    assert [part async for part in response.streaming_content] == []
    assert holds("export", "memory") == 0
