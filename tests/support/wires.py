"""Wires for coroutines, and simple requests to send over them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from redis.connection import ConnectionPool

from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wire.async_wire import AsyncWire
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

# The time-out for a hanging server is long on purpose, so that SOON is clearly below it.
TIMEOUT = 30.0
SOON = 10.0


def wire_to(url: str, **kwargs: Any) -> AsyncWire:
    kwargs = {"socket_timeout": TIMEOUT, **kwargs}
    return AsyncWire(Source(ConnectionPool.from_url(url, **kwargs), "a test"))


def key() -> str:
    return f"test-{secrets.token_hex(6)}"


async def echo(wire: AsyncWire, text: str, within: float | None = None) -> Any:
    (reply,), _ = await wire.aexchange([pack("ECHO", text)], within)
    return reply


async def reached(proxy: Proxy, number: int) -> None:
    """Wait until this many requests have arrived."""
    await asyncio.to_thread(wait_until, lambda: proxy.count("ECHO") >= number, within=SOON)
