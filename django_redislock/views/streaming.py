"""Holds of streamed responses, which last until the response is sent or closed."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from asgiref.sync import async_to_sync
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from ..exceptions import LockError
from ..handles.base import Handle

__all__ = ["hold_while_streaming", "is_streamed"]


def is_streamed(response: object) -> bool:
    """Whether code of the view runs while the response is sent. This is not so for a file."""
    # A FileResponse usually has a file, but may also have a generator.
    is_file = isinstance(response, FileResponse) and response.file_to_stream is not None
    return isinstance(response, StreamingHttpResponse) and not is_file


def hold_while_streaming(response: StreamingHttpResponse, handle: Handle[Any]) -> None:
    """Make the response release the lock when it is sent or when the client disconnects."""
    kind = _AsyncContent if response.is_async else _Content
    made: Any = response
    # Django closes content that has a ``close`` method, even if it was not sent completely.
    made.streaming_content = kind(made._iterator, made.charset, handle)


class _Held:
    """Content of a response, with the handle to release at its end.

    It is made from ``source``, the view's generator. This has to be closed before the lock is
    released, even if it was not finished.
    """

    def __init__(self, source: Any, charset: str, handle: Handle[Any]) -> None:
        self._source = source
        # That of another response: a response that its own content refers to is a cycle. If it is
        # dropped, it keeps the lock until the garbage collector runs, which may take hours.
        self._make_bytes = HttpResponse(charset=charset).make_bytes
        self._handle: Handle[Any] | None = handle
        # A middleware that sends another response (304, say) may drop this one without closing it.
        self._dropping = weakref.finalize(self, _release, handle)
        self._dropping.atexit = False

    def _take_handle(self) -> Handle[Any] | None:
        self._dropping.detach()
        handle, self._handle = self._handle, None
        return handle


def _release(handle: Handle[Any]) -> None:
    with suppress(LockError):
        handle.__exit__(None, None, None)


class _Content(_Held, Iterator[bytes]):
    def __next__(self) -> bytes:
        try:
            return self._make_bytes(next(self._source))
        except BaseException as error:
            self._leave(None if isinstance(error, StopIteration) else error)
            raise

    def close(self) -> None:
        """End the response before all of it was sent. Django ignores what this raises."""
        self._leave(None)

    def _leave(self, error: BaseException | None) -> None:
        try:
            self._end_source()
        finally:
            if (handle := self._take_handle()) is not None:
                handle.__exit__(type(error) if error else None, error, None)

    def _end_source(self) -> None:
        if (close := getattr(self._source, "close", None)) is not None:
            close()


class _AsyncContent(_Held, AsyncIterator[bytes]):
    async def __anext__(self) -> bytes:
        try:
            return self._make_bytes(await anext(self._source))
        except BaseException as error:
            await self._leave(None if isinstance(error, StopAsyncIteration) else error)
            raise

    def close(self) -> None:
        """Like ``_Content.close()``. Django calls it in a thread."""
        try:
            if self._handle is not None:
                async_to_sync(self._end_source)()
        finally:
            if (handle := self._take_handle()) is not None:
                handle.__exit__(None, None, None)

    async def _leave(self, error: BaseException | None) -> None:
        try:
            await self._end_source()
        finally:
            if (handle := self._take_handle()) is not None:
                await handle.__aexit__(type(error) if error else None, error, None)

    async def _end_source(self) -> None:
        if (aclose := getattr(self._source, "aclose", None)) is not None:
            await aclose()
