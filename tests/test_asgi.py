"""Locks are released when an ASGI server announces its shutdown by the lifespan protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.core.asgi import get_asgi_application

from django_redislock import LockLost, lock
from django_redislock.asgi import release_locks_at_shutdown

STARTUP, SHUTDOWN = "lifespan.startup", "lifespan.shutdown"


@pytest.fixture
def is_held(alias: str) -> Iterator[Callable[[], bool]]:
    """Whether the lock is held that the test holds from its beginning."""
    held = lock("feed", using=alias, lease=60)
    assert held.acquire(wait=0)
    yield held.owned
    with suppress(LockLost):
        held.release()


async def serve(application: Any, is_held: Callable[[], bool]) -> list[tuple[str, bool]]:
    """Start and end an application as a server does; return its answers, and if it was held."""
    messages = iter((STARTUP, SHUTDOWN))
    sent: list[tuple[str, bool]] = []

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: dict[str, str]) -> None:
        sent.append((message["type"], is_held()))

    await release_locks_at_shutdown(application)({"type": "lifespan"}, receive, send)
    return sent


async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"


@pytest.mark.parametrize("application", [get_asgi_application(), without_lifespan])
async def test_locks_are_released_at_shutdown(
    application: Any, is_held: Callable[[], bool]
) -> None:
    assert await serve(application, is_held) == [
        ("lifespan.startup.complete", True),
        ("lifespan.shutdown.complete", False),
    ]


async def test_locks_are_released_after_the_shutdown_of_the_application(
    is_held: Callable[[], bool],
) -> None:
    at_its_shutdown = []

    async def application(scope: Any, receive: Any, send: Callable[..., Awaitable[None]]) -> None:
        for message in (STARTUP, SHUTDOWN):
            assert (await receive())["type"] == message
            at_its_shutdown.append(is_held())
            await send({"type": f"{message}.complete"})

    assert [held for _, held in await serve(application, is_held)] == [True, False]
    assert at_its_shutdown == [True, True]


async def test_an_application_that_fails_to_start_says_so(is_held: Callable[[], bool]) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        await serve(application, is_held)
