"""Time limits while connecting, and while waiting for a connection."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from redis.credentials import CredentialProvider
from redis.exceptions import TimeoutError as RedisTimeoutError

from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.errors import NotAsked
from django_redislock.backends.redis.wire import driver
from django_redislock.backends.redis.wire.driver import connecting
from django_redislock.backends.redis.wire.links import Link
from django_redislock.backends.redis.wire.node import AT_ONCE, Node
from django_redislock.backends.redis.wire.replicated import ReplicatedNode
from django_redislock.process import ServiceThread
from django_redislock.testing.servers import EmbeddedServer
from tests.backends.nodes import PING, echo, node_at
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.tls import TlsServer
from tests.support.wires import SOON, wire_to


def test_connecting_is_part_of_the_time_limit_of_an_exchange() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        node = node_at(f"redis://127.0.0.1:{silent.getsockname()[1]}", protocol=3)
        began = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            node.exchange([PING], 0.2)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_all_steps_of_connecting_share_the_time_limit(
    request: pytest.FixtureRequest, own_server: EmbeddedServer, secure: bool
) -> None:
    """Each answer alone comes in time, but several are needed before a command is sent."""
    options: dict[str, Any] = {"protocol": 3, "client_name": "me"}
    with Proxy(own_server.url) as proxy, ExitStack() as stack:
        url = proxy.url
        if secure:
            tls = TlsServer(request.getfixturevalue("certificates"), proxy.port)
            stack.enter_context(closing(tls))
            url = f"rediss://127.0.0.1:{tls.port}"
            options |= request.getfixturevalue("tls_options")
        node = node_at(url, **options)
        proxy.delay(0.9)
        began = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            node.exchange([PING], 1.0)
        assert 1.0 <= time.monotonic() - began < 3
        proxy.pass_through()
        wait_until(lambda: not node.breaker.is_open())
        assert echo(node, "again") == "again"
        node.close()


def limited(node: Node, monkeypatch: pytest.MonkeyPatch) -> tuple[float, Sequence[bytes]]:
    """The limit and the commands of an exchange that had to wait for a connection."""
    taken = [node._free.pop() for _ in range(AT_ONCE)]
    exchange, seen = Link.exchange, []

    def note(link: Link, commands: Sequence[bytes], within: float) -> Any:
        if link in taken:
            seen.append((within, commands))
        return exchange(link, commands, within)

    monkeypatch.setattr(Link, "exchange", note)
    commands = [PING, pack("WAIT", 0, 900)]
    thread = threading.Thread(target=node.exchange, args=(commands, 2.0))
    thread.start()
    wait_until(lambda: node._line, what="it waits for a connection")
    time.sleep(0.1)
    node._free.extend(taken)
    thread.join(10)
    node.close()
    return seen[0]


def test_the_wait_for_a_connection_is_part_of_the_time_limit(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within, _ = limited(node_at(redis_url), monkeypatch)
    assert within <= 1.9


def test_replicas_have_the_rest_of_the_time_limit(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = ReplicatedNode(node_at(redis_url).source, 0)._apart
    within, (_, wait) = limited(claims, monkeypatch)
    assert int(wait.split(b"\r\n")[-2]) < 1000 * within
    assert wait != pack("WAIT", 0, 900)


def test_a_process_that_is_suspended_between_that_wait_and_the_exchange(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over then, and a socket takes no time-out below zero."""
    wait_for_link, waited = Node._wait_for_link, list[float]()

    def wait_too_long(node: Node, deadline: float) -> Link:
        link = wait_for_link(node, deadline)
        wait_until(lambda: time.monotonic() > deadline)
        link.exchange((PING,), 10.0)
        waited.append(deadline)
        return link

    monkeypatch.setattr(Node, "_wait_for_link", wait_too_long)
    node = node_at(redis_url)
    taken = [node._free.pop() for _ in range(AT_ONCE)]
    give_back = threading.Timer(0.05, node._free.extend, [taken])
    give_back.start()
    with suppress(RedisTimeoutError):
        assert node.exchange([PING], 1.2).replies == [b"PONG"]
    assert waited
    give_back.join()
    node.close()


def test_a_handshake_that_hangs_says_nothing_about_connections_without_tls(
    own_server: EmbeddedServer,
) -> None:
    """A server without TLS waits for more of the handshake."""
    wrong = node_at(own_server.url.replace("redis", "rediss"), socket_timeout=1.0)
    with pytest.raises(RedisTimeoutError):
        wrong.exchange([PING])
    assert wrong.breaker.is_open()
    right = node_at(own_server.url)
    assert echo(right, "well") == "well"
    assert wrong.breaker.is_open()
    wrong.close()
    right.close()


def test_a_credential_provider_that_fails_does_not_break_the_probe(
    own_server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """No probe can be sent, so the breaker closes. The next request gets the provider's error."""
    failing: list[bool] = []

    class Provider(CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            if failing:
                raise LookupError("no token")
            return "default", ""

    with Proxy(own_server.url) as proxy:
        node = node_at(proxy.url, socket_timeout=1.0, credential_provider=Provider())
        proxy.black_hole()
        with pytest.raises(RedisTimeoutError):
            node.exchange([PING])
        assert node.breaker.is_open()
        failing.append(True)
        wait_until(lambda: not node.breaker.is_open())
        assert "The thread" not in caplog.text
        node.close()


class Hanging(CredentialProvider):
    """It never answers when it is asked first, and then at once."""

    def __init__(self) -> None:
        self.asked, self.goes_on = False, threading.Event()

    def get_credentials(self) -> tuple[str, str]:
        asked, self.asked = self.asked, True
        if not asked:
            self.goes_on.wait()
        return "default", ""


def run_in_thread_of_ours(serve: Callable[[], object]) -> None:
    ended = threading.Event()

    def run() -> None:
        serve()
        ended.set()

    ServiceThread("test", run, lambda: False).ensure()
    assert ended.wait(SOON)


def test_a_thread_of_ours_does_not_wait_for_a_provider_that_hangs(
    own_server: EmbeddedServer,
) -> None:
    """It renews locks and receives hand-overs for the whole process."""
    provider, replies = Hanging(), list[Any]()
    node = node_at(own_server.url, socket_timeout=0.5, credential_provider=provider)

    def serve() -> None:
        with pytest.raises(RedisTimeoutError):
            node.exchange([PING])
        replies.extend(node.exchange([PING], urgent=True).replies)

    try:
        run_in_thread_of_ours(serve)
        assert replies == [b"PONG"]
    finally:
        provider.goes_on.set()
    wait_until(lambda: not connecting(), what="its socket is closed")
    node.close()


def test_not_all_threads_may_hang(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MOST_CONNECTING", 0)
    node = node_at(redis_url)

    def serve() -> None:
        with pytest.raises(NotAsked, match="hang while they connect: a name"):
            node.exchange([PING])

    run_in_thread_of_ours(serve)
    assert echo(node, "of a caller") == "of a caller"
    node.close()


def test_a_loop_that_ends_leaves_no_opening_behind(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Python logs an error for each task that has not ended."""
    wire, loop = wire_to(proxy.url), asyncio.new_event_loop()
    proxy.hold()
    with pytest.raises(RedisTimeoutError):
        loop.run_until_complete(wire.aexchange([PING], 0.1))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    del loop
    gc.collect()
    assert not caplog.records
