"""Clean shutdown under ASGI servers that end by the signal itself, after which no code runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from .local.shutdown import release_all

__all__ = ["release_locks_at_shutdown"]

Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
Application: TypeAlias = "Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]"
# Django, Starlette and others annotate their arguments in different ways.
AnyApplication: TypeAlias = "Callable[[Any, Any, Any], Awaitable[None]]"


def release_locks_at_shutdown(application: AnyApplication) -> Application:
    """Wrap an ASGI application to release the process's remaining holds at shutdown.

    The server announces the shutdown by the lifespan protocol, after the last request. Requests
    release their own locks; this is for holds that outlive them and would otherwise last until
    their leases end. If the application knows the protocol, unlike Django's own, its own shutdown
    comes first.
    """

    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        is_known = False

        async def receive_for_it() -> Message:
            nonlocal is_known
            is_known = True
            return await receive()

        async def send_for_it(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(release_all)
            await send(message)

        try:
            await application(scope, receive_for_it, send_for_it)
        except Exception:
            if is_known:
                raise
        if not is_known:
            await _live(receive, send_for_it)

    return wrapped


async def _live(receive: Receive, send: Send) -> None:
    """Do nothing but answer, for an application that does not know the protocol."""
    kind = ""
    while kind != "lifespan.shutdown":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
