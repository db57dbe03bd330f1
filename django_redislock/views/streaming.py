"""Holds of views, which last until a streamed response is sent or closed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import ref

from asgiref.sync import async_to_sync
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from ..exceptions import LockError
from ..handles.base import Handle

__all__ = ["keep_for"]

# How long (seconds) a half-read stream without a reader keeps the lock for the next reader.
UNTIL_NEXT_READER = 1.0

# The handles of streams. A stream may be garbage in a cycle; its handle has to outlive it.
_streaming: set[Handle[Any] | None] = set()


def keep_for(request: Any, response: StreamingHttpResponse, handle: Handle[Any]) -> None:
    """Keep the lock until the response is sent or closed, if code of the view runs then.

    At the latest, the content is closed together with the request: Django closes that also if a
    middleware answers something else or fails.
    """
    # A FileResponse usually has a file, but may also have a generator.
    if isinstance(response, FileResponse) and response.file_to_stream is not None:
        return
    kind = _AsyncContent if response.is_async else _Content
    made: Any = response
    content = kind(made._iterator, made.charset, handle)
    made._iterator = content
    # Django calls it even if the content was not sent completely. Content that is replaced by
    # another is dropped at once.
    made._resource_closers.append(partial(_close, ref(content)))
    # REST framework's request is a wrapper around Django's.
    _close_with(getattr(request, "_request", request), ref(content))
    handle._outlives_block = True


class _Held(ABC):
    """Content of a response, with the handle to release at its end.

    It is made from ``source``, the view's generator. This has to be closed before the lock is
    released, even if it was not finished.
    """

    # A class attribute, because ``__del__`` reads it even if ``__init__`` was interrupted.
    _handle: Handle[Any] | None = None

    def __init__(self, source: Any, charset: str, handle: Handle[Any]) -> None:
        self._source = source
        # That of another response: a response that its own content refers to is a cycle. If it is
        # dropped, it keeps the lock until the garbage collector runs, which may take hours.
        self._make_bytes = HttpResponse(charset=charset).make_bytes
        self._handle = handle
        _streaming.add(handle)

    def __del__(self) -> None:
        # A middleware that sends another response (304, say) may drop this one without closing it.
        try:
            with suppress(LockError):
                self._drop()
        finally:
            self._forget()

    @abstractmethod
    def _drop(self) -> None: ...

    def _release(self, error: BaseException | None) -> None:
        if self._handle is not None:
            self._handle._outlives_block = False
            self._handle.__exit__(type(error) if error else None, error, None)
            # Only now: interrupted before, the lock is still to be released.
            self._forget()

    def _forget(self) -> None:
        handle, self._handle = self._handle, None
        _streaming.discard(handle)


def _close_with(request: Any, content: ref[_Content | _AsyncContent]) -> None:
    # Weak, since a request that nobody closes would be a cycle with this function.
    mine = ref(request)
    # That of the stream of another view for this request.
    earlier = vars(request).get("close")

    def close() -> None:
        try:
            if earlier is not None:
                earlier()
            elif (alive := mine()) is not None:
                type(alive).close(alive)
        finally:
            _close(content)

    request.close = close


def _close(content: ref[_Content | _AsyncContent]) -> None:
    if (alive := content()) is not None:
        alive.close()


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

    _drop = close

    def _leave(self, error: BaseException | None) -> None:
        try:
            if self._handle is not None and hasattr(self._source, "close"):
                self._source.close()
        finally:
            self._release(error)


class _AsyncContent(_Held):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._reader = reader = object()
        try:
            async for part in self._source:
                yield self._make_bytes(part)
        except GeneratorExit:
            # If an ASGI server raises an exception, Django does not close the response.
            loop = asyncio.get_running_loop()
            loop.call_later(UNTIL_NEXT_READER, self._end_unread, loop, reader)
            raise
        except BaseException as error:
            await self._leave(error)
            raise
        await self._leave(None)

    def close(self) -> None:
        """Like ``_Content.close()``. Django calls it in a thread."""
        try:
            if self._handle is not None:
                async_to_sync(self._end_source)()
        finally:
            self._release(None)

    async def aclose(self) -> None:
        """The twin of ``close``, which another view's stream of this response calls."""
        await self._leave(None)

    def _end_unread(self, loop: asyncio.AbstractEventLoop, reader: object) -> None:
        async def end() -> None:
            with suppress(LockError):
                await self.aclose()

        if self._reader is reader and self._handle is not None:
            self._ending = loop.create_task(end())  # the loop itself has a weak reference only

    def _drop(self) -> None:
        # The source was not read, or its event loop is closed.
        self._release(None)

    async def _leave(self, error: BaseException | None) -> None:
        try:
            await self._end_source()
        finally:
            if (handle := self._handle) is not None:
                handle._outlives_block = False
                await handle.__aexit__(type(error) if error else None, error, None)
                self._forget()

    async def _end_source(self) -> None:
        if (aclose := getattr(self._source, "aclose", None)) is not None:
            await aclose()
