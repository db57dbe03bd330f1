"""The same travel for coroutines: native asyncio connections, one pool for each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.sentinel import SentinelConnectionPool as SyncSentinelConnectionPool

from ...process import process
from .errors import is_worth_a_retry
from .node import AT_ONCE
from .scripts import with_text

__all__ = ["AsyncConnections"]

# What says where the server is and who we are; the rest is machinery of the synchronous client.
# fmt: off
_SHARED_KWARGS = frozenset((
    "host", "port", "path", "db", "username", "password", "credential_provider", "client_name",
    "protocol", "encoding", "socket_timeout", "socket_connect_timeout", "socket_keepalive",
    "socket_keepalive_options", "ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs",
    "ssl_ca_data", "ssl_ca_path", "ssl_check_hostname", "ssl_password", "ssl_min_version",
    "ssl_ciphers",
))
# fmt: on


class AsyncConnections:
    """Sends commands for coroutines, to the server of a synchronous pool."""

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self.forget()

    def forget(self) -> None:
        """Leave all connections to the parent after a fork."""
        self._lanes: dict[asyncio.AbstractEventLoop, _Lane] = {}

    async def send(self, command: bytes) -> tuple[Any, bool]:
        """The twin of ``Connections.send``."""
        replies, again = await self.send_all([command])
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies[0], again

    async def send_all(self, commands: Sequence[bytes]) -> tuple[list[Any], bool]:
        """The twin of ``Connections.send_all``."""
        lane = await self._lane()
        try:
            return await lane.send(commands), False
        except (RedisError, OSError) as error:
            if not is_worth_a_retry(error):
                raise
        return await lane.send(commands), True

    async def _lane(self) -> _Lane:
        process.look()
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None:
            # A lane leads back to its loop, so that weak references would keep both for ever.
            for other in [*self._lanes]:
                if other.is_closed():
                    self._lanes.pop(other, None)
            lane = self._lanes[loop] = _Lane(_async_pool(self.pool))
            await lane.open()
        return lane


class _Lane:
    """The connections of one event loop."""

    def __init__(self, pool: aioredis.ConnectionPool) -> None:
        self._pool = pool
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._closer = self._close_with_loop()

    async def open(self) -> None:
        await anext(self._closer)

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        # A loop closes its unfinished async generators before it ends, and tells nobody else.
        try:
            yield
        finally:
            await self._pool.disconnect()
            manager = getattr(self._pool, "sentinel_manager", None)
            for sentinel in manager.sentinels if manager is not None else ():
                await sentinel.connection_pool.disconnect()

    async def send(self, commands: Sequence[bytes]) -> list[Any]:
        before = _cancellations()
        async with self._gate:
            connection = await self._pool.get_connection()
            try:
                return await _exchange(connection, commands)
            finally:
                await self._pool.release(connection)
                if _cancellations() > before:
                    # redis-py uses wait_for(), which on Python 3.11 may swallow it.
                    raise asyncio.CancelledError


def _cancellations() -> int:
    """How often the running task was made to end; Python 3.10 does not tell."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    # What a task asks of itself is on its way until its next await.
    on_its_way = bool(getattr(task, "_must_cancel", False))
    return cancelling() - on_its_way if cancelling is not None else 0


async def _exchange(connection: Any, commands: Sequence[bytes]) -> list[Any]:
    try:
        await connection.send_packed_command([b"".join(commands)], check_health=False)
        replies = [await _read(connection) for _ in commands]
        for place, command in enumerate(commands):
            if isinstance(replies[place], NoScriptError):
                await connection.send_packed_command([with_text(command)])
                replies[place] = await _read(connection)
    except BaseException:
        # A reply that nobody has read would answer the next command.
        await connection.disconnect(nowait=True)
        raise
    return replies


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ReadOnlyError:
        raise
    except ResponseError as error:
        return error


def _async_pool(pool: ConnectionPool) -> aioredis.ConnectionPool:
    kwargs = _shared(pool.connection_kwargs)
    secure = issubclass(pool.connection_class, SSLConnection)
    if isinstance(pool, SyncSentinelConnectionPool):
        manager = pool.sentinel_manager
        sentinels = [client.connection_pool.connection_kwargs for client in manager.sentinels]
        return SentinelConnectionPool(
            pool.service_name,
            Sentinel(
                [(known["host"], known["port"]) for known in sentinels],
                min_other_sentinels=manager.min_other_sentinels,
                sentinel_kwargs=_shared(
                    {k: v for k, v in sentinels[0].items() if k not in ("host", "port", "db")}
                ),
            ),
            ssl=secure,
            **kwargs,
        )
    if secure:
        connection_class: type[AbstractConnection] = aioredis.SSLConnection
    elif issubclass(pool.connection_class, UnixDomainSocketConnection):
        connection_class = aioredis.UnixDomainSocketConnection
    else:
        connection_class = aioredis.Connection
    return aioredis.ConnectionPool(connection_class=connection_class, **kwargs)


def _shared(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key in _SHARED_KWARGS}
