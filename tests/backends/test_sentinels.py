"""Sentinels that hang, and others that answer."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis.exceptions import RedisError
from redis.sentinel import Sentinel, SentinelConnectionPool

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.redis.sources.source import Source
from django_redislock.backends.redis.wire.node import Node
from django_redislock.checks import check_backends
from tests.backends.nodes import PING
from tests.support.resp import take_commands
from tests.support.sentinel import HOST, SentinelSet

# The time-out (seconds) of the connections. A test that ran into it would not pass.
TIMEOUT = 30.0


@pytest.fixture(scope="module")
def servers() -> Iterator[SentinelSet]:
    with SentinelSet() as servers:
        yield servers


@pytest.fixture
def hanging() -> Iterator[int]:
    """The port of a Sentinel that accepts connections and never answers."""
    with socket.create_server((HOST, 0), backlog=32) as silent:
        yield silent.getsockname()[1]


@contextmanager
def naming(service: str, port: int) -> Iterator[int]:
    """The port of a Sentinel that always names this server of the service as the primary."""
    said = {"name": service, "ip": HOST, "port": port, "flags": "master", "num-other-sentinels": 1}
    words = [str(word).encode() for pair in said.items() for word in pair]
    lines = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            received = b""
            while data := self.request.recv(65536):
                commands, received = take_commands(received + data)
                for command in commands:
                    is_question = command.name == "SENTINEL"
                    answer = b"*1\r\n*%d\r\n%s" % (len(words), lines) if is_question else b"+OK\r\n"
                    self.request.sendall(answer)

    with socketserver.ThreadingTCPServer((HOST, 0), Connection) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def node_of(service: str, *ports: int, timeout: float = TIMEOUT) -> Node:
    times = {"socket_timeout": timeout}
    sentinel = Sentinel([(HOST, port) for port in ports], sentinel_kwargs=dict(times), **times)
    return Node(Source(SentinelConnectionPool(service, sentinel, **times), "here"))


def in_thread(node: Node, within: float) -> None:
    assert node.exchange((PING,), within).replies == [b"PONG"]


def in_coroutine(node: Node, within: float) -> None:
    async def act() -> None:
        assert (await node.aexchange((PING,), within)).replies == [b"PONG"]

    asyncio.run(act())


ways = pytest.mark.parametrize("act", [in_thread, in_coroutine])


@ways
def test_the_answer_of_a_sentinel_is_part_of_the_time_limit(
    hanging: int, act: Callable[[Node, float], None]
) -> None:
    node = node_of("main", hanging)
    began = time.monotonic()
    with pytest.raises(RedisError):
        act(node, 0.3)
    assert time.monotonic() - began < TIMEOUT / 3
    node.close()


@ways
def test_one_that_hangs_leaves_time_for_the_others(
    servers: SentinelSet, hanging: int, act: Callable[[Node, float], None]
) -> None:
    node = node_of(servers.service, hanging, servers.port, timeout=6.0)
    act(node, 6.0)
    node.close()


@ways
def test_the_one_that_answered_last_is_asked_first(
    servers: SentinelSet, hanging: int, act: Callable[[Node, float], None]
) -> None:
    node = node_of(servers.service, hanging, servers.port)
    in_thread(node, 6.0)
    node.close()
    began = time.monotonic()
    act(node, TIMEOUT)
    assert time.monotonic() - began < TIMEOUT / 3
    node.close()


def in_thread_or_raise() -> None:
    with lock("a"):
        pass


def in_coroutine_or_raise() -> None:
    async def act() -> None:
        async with lock("a"):
            pass

    asyncio.run(act())


@pytest.mark.parametrize("act", [in_thread_or_raise, in_coroutine_or_raise])
def test_one_that_still_names_a_replica_is_asked_last(
    settings: Any, servers: SentinelSet, act: Callable[[], None]
) -> None:
    """Sentinels disagree for some seconds after a failover."""
    with naming(servers.service, servers.replica.port) as stale:
        location = f"sentinel://{HOST}:{stale},{HOST}:{servers.port}/{servers.service}/0"
        options = {"sentinel_kwargs": {"protocol": 2}}
        settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": options}}
        act()
        lock_backends["default"].close()


def test_one_that_still_names_a_replica_is_asked_last_by_several_connections(
    settings: Any, servers: SentinelSet
) -> None:
    with naming(servers.service, servers.replica.port) as stale:
        location = f"sentinel://{HOST}:{stale},{HOST}:{servers.port}/{servers.service}/0"
        options = {"sentinel_kwargs": {"protocol": 2}}
        settings.LOCKS = {"default": {"LOCATION": location, "OPTIONS": options}}
        source = lock_backends["default"].source
        found = []
        for _ in range(2):
            connection = source.connection()
            connection.connect()
            found.append(connection.port)
            connection.disconnect()
            for _of_each_connection in range(2):
                source.note_demotion()
        assert found == [servers.replica.port, servers.primary.port]


@pytest.mark.parametrize(
    ("location", "words", "hint"),
    [
        ("sentinel://{}/nobody", "has no primary, or not under this name, as the Sentinels", ""),
        ("redis://{}/0", "runs no scripts. If it is a Sentinel, write sentinel://", "the scheme"),
    ],
)
def test_the_error_of_a_wrong_location_says_what_a_sentinel_answers(
    settings: Any, servers: SentinelSet, location: str, words: str, hint: str
) -> None:
    settings.LOCKS = {"default": {"LOCATION": location.format(f"{HOST}:{servers.port}")}}
    with pytest.raises(LockUnavailable) as caught:
        lock("a").acquire(wait=0)
    assert words in str(caught.value)
    assert "is it running" not in str(caught.value)
    (message,) = check_backends(deploy=True)
    assert words in message.msg
    assert hint in str(message.hint)
    lock_backends["default"].close()
