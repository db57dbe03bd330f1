"""Undocumented parts of redis-py that coroutines need.

redis-py opens a connection: it resolves the primary, does the TLS handshake, authenticates and
selects the database. This module then takes over the transport, so that requests need not wait for
each other's replies.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.connection import AbstractConnection as BlockingConnection
from redis.exceptions import ConnectionError as RedisConnectionError

__all__ = ["drop_streams", "open_transport"]


async def open_transport(
    connection: AbstractConnection | BlockingConnection, protocol: asyncio.Protocol
) -> None:
    """Connect, and hand the transport to the protocol.

    A blocking connection is opened in a thread. Its class may do things for which redis-py has no
    asyncio class.
    """
    if isinstance(connection, BlockingConnection):
        await _open_in_thread(connection, protocol)
        return
    try:
        await connection.connect()
        reader, writer = connection._reader, connection._writer
        if reader is None or writer is None or reader.at_eof():
            raise RedisConnectionError("Connection closed by server.")
    except BaseException:
        connection._close()
        raise
    transport = writer.transport
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if left := bytes(reader._buffer):  # type: ignore[attr-defined]
        protocol.data_received(left)


def drop_streams(connection: Any) -> None:
    """Forget the streams of a connection whose transport is closed.

    Keep the streams until then: a StreamWriter closes its transport when it is deleted.
    """
    if isinstance(connection, AbstractConnection):
        connection._reader = connection._writer = None


async def _open_in_thread(connection: BlockingConnection, protocol: asyncio.Protocol) -> None:
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, connection.connect)
    # Not in the thread: if this is cancelled, the connection closes its socket when it is deleted.
    held: Any = connection
    sock, held._sock = held._sock, None
    sock.setblocking(False)
    if sock.family == getattr(socket, "AF_UNIX", None):
        await loop.create_unix_connection(lambda: protocol, sock=sock)
    else:
        await loop.create_connection(lambda: protocol, sock=sock)
