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


def release_locks_at_shutdown(application: Application) -> Application:
    """Wrap Django's ASGI application to release the process's remaining holds at shutdown.

    The server announces the shutdown by the lifespan protocol, after the last request. Requests
    release their own locks; this is for holds that outlive them and would otherwise last until
    their leases end.
    """

    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # Django itself does not support this type
            await _live(receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


async def _live(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await asyncio.to_thread(release_all)
    await send({"type": f"{message['type']}.complete"})
