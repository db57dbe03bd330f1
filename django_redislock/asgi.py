"""A clean end under ASGI servers that end by the signal itself, after which nothing can run."""

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
    """Wrap Django's ASGI application: what the process still holds is released when it shuts down.

    The server tells it by the lifespan protocol, after the last request. Requests release what they
    hold by themselves; this is for what is held beyond them, which else is left to its lease.
    """

    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # of which Django itself knows nothing
            await _live(receive, send)
        else:
            await application(scope, receive, send)

    return wrapped


async def _live(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await asyncio.to_thread(release_all)
    await send({"type": f"{message['type']}.complete"})
