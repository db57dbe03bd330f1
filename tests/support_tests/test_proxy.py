"""Proxy, which fails on demand and only then."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    TimeoutError as RedisTimeoutError,
)
from redis.retry import Retry

from django_redislock.testing.servers import EmbeddedServer
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.resp import take_commands


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def direct(server: EmbeddedServer) -> Iterator[Redis]:
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def proxy(server: EmbeddedServer) -> Iterator[Proxy]:
    with Proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Redis]:
    with Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client:
        yield client


def test_passes_everything_through(client: Redis) -> None:
    value = bytes(range(256)) * 4096
    client.set("name", value)
    assert client.get("name") == value
    with client.pipeline() as pipeline:
        assert pipeline.set("a", 1).incr("a").execute() == [True, 2]


def test_counts_commands_and_connections(proxy: Proxy, client: Redis) -> None:
    client.ping()
    assert (proxy.opened, proxy.connections) == (1, 1)
    proxy.forget()
    client.set("name", "value")
    client.get("name")
    assert proxy.opened == 0
    assert [(command.name, command.args) for command in proxy.commands] == [
        ("SET", (b"name", b"value")),
        ("GET", (b"name",)),
    ]
    assert (proxy.count(), proxy.count("GET"), proxy.count("DEL")) == (2, 1, 0)


def test_drops_a_reply_once_and_the_server_has_run_the_command(
    proxy: Proxy, client: Redis, direct: Redis
) -> None:
    client.ping()
    trigger = proxy.drop_next_reply(b"incr")
    assert client.set("n", 0)
    assert not trigger.fired
    with pytest.raises(RedisConnectionError):
        client.incr("n")
    trigger.wait()
    assert direct.get("n") == b"1"
    assert client.incr("n") == 2
    assert proxy.opened == 2


def test_drops_the_reply_of_a_retried_command(proxy: Proxy, direct: Redis) -> None:
    proxy.drop_next_reply(b"INCR")
    with Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 1)) as client:
        assert client.incr("n") == 2


def test_drops_the_reply_that_an_argument_matches(proxy: Proxy, client: Redis) -> None:
    proxy.drop_next_reply(b"{order:42}")
    client.get("other")
    with pytest.raises(RedisConnectionError):
        client.get("lock:{order:42}")


def test_drops_the_reply_of_a_transaction(proxy: Proxy, client: Redis, direct: Redis) -> None:
    proxy.drop_next_reply(b"EXEC")
    with client.pipeline() as pipeline, pytest.raises(RedisConnectionError):
        pipeline.incr("n").incr("n").execute()
    assert direct.get("n") == b"2"


def test_drops_a_request_and_the_server_has_not_run_it(
    proxy: Proxy, client: Redis, direct: Redis
) -> None:
    client.set("n", 0)
    trigger = proxy.drop_next_request(b"INCR")
    with pytest.raises(RedisConnectionError):
        client.incr("n")
    assert trigger.fired
    assert direct.get("n") == b"0"
    assert client.incr("n") == 1


def test_trigger_that_does_not_come_is_reported(proxy: Proxy) -> None:
    with pytest.raises(AssertionError, match="no command like"):
        proxy.drop_next_reply(b"NEVER").wait(within=0.01)


def test_black_hole_swallows_replies(proxy: Proxy, direct: Redis) -> None:
    with Redis.from_url(proxy.url, socket_timeout=1.5, retry=Retry(NoBackoff(), 0)) as client:
        client.ping()
        proxy.black_hole()
        with pytest.raises(RedisTimeoutError):
            client.incr("n")
        wait_until(lambda: direct.get("n") == b"1")
        proxy.pass_through()
        assert client.incr("n") == 2


def test_hold_keeps_replies_back(proxy: Proxy, client: Redis, direct: Redis) -> None:
    client.ping()
    proxy.hold()
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(client.incr("n")))
    thread.start()
    wait_until(lambda: direct.get("n") == b"1")
    assert answers == []
    proxy.pass_through()
    thread.join()
    assert answers == [1]


def test_delay_is_at_least_that_long(proxy: Proxy, client: Redis) -> None:
    client.ping()
    proxy.delay(0.05)
    before = time.monotonic()
    client.ping()
    assert time.monotonic() - before >= 0.05


def test_cut_closes_all_connections(proxy: Proxy, client: Redis) -> None:
    with Redis.from_url(proxy.url) as other:
        other.ping()
        client.ping()
        assert proxy.cut() == 2
        assert proxy.connections == 0
    with socket.create_connection(("127.0.0.1", proxy.port)) as raw:
        wait_until(lambda: proxy.connections)
        proxy.cut()
        assert raw.recv(1) == b""
    assert client.ping()


def test_refuses_new_connections_only(proxy: Proxy, client: Redis) -> None:
    client.ping()
    proxy.refuse()
    assert client.ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
    proxy.cut()
    with pytest.raises(RedisConnectionError):
        client.ping()
    proxy.accept()
    assert client.ping()


def test_dead_server_closes_the_client(server: EmbeddedServer) -> None:
    with (
        EmbeddedServer() as mortal,
        Proxy(mortal.url) as proxy,
        Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client,
    ):
        client.ping()
        mortal.kill()
        with pytest.raises(RedisConnectionError):
            client.ping()
        with pytest.raises(RedisConnectionError):
            client.ping()
        mortal.restart()
        assert client.ping()


def test_passes_the_password_on() -> None:
    with (
        EmbeddedServer(args=("--requirepass", "secret")) as server,
        Proxy(server.url) as proxy,
        Redis.from_url(proxy.url) as client,
    ):
        assert client.ping()


def test_stop_leaves_no_thread(server: EmbeddedServer) -> None:
    with Proxy(server.url) as proxy, Redis.from_url(proxy.url) as client:
        client.ping()
        proxy.hold()
    assert [one for one in threading.enumerate() if one.name == "proxy"] == []


def test_commands_are_seen_however_they_are_cut_up() -> None:
    data = b"*2\r\n$3\r\nget\r\n$4\r\na\r\nb\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n"
    for cut in range(len(data) + 1):
        first, rest = take_commands(data[:cut])
        second, rest = take_commands(rest + data[cut:])
        assert rest == b""
        commands = first + second
        assert [(command.name, command.args) for command in commands] == [
            ("GET", (b"a\r\nb",)),
            ("PING", ()),
            ("QUIT", ()),
        ]
        assert b"".join(command.raw for command in commands) == data


def test_swallows_what_clients_send(proxy: Proxy, direct: Redis) -> None:
    with Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0), socket_timeout=0.3) as client:
        client.set("n", 0)
        proxy.swallow_requests()
        with pytest.raises(RedisTimeoutError):
            client.incr("n")
        proxy.pass_through()
        client.connection_pool.disconnect()
        assert client.incr("n") == 1, "the server has not seen the first"


def test_connection_that_swallowed_something_passes_nothing_more(
    proxy: Proxy, direct: Redis
) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3) as link:
        proxy.swallow_requests()
        link.sendall(b"INCR n\r\n")
        wait_until(lambda: proxy.count("INCR") == 1)
        proxy.pass_through()
        link.sendall(b"INCR n\r\n")
        with pytest.raises(TimeoutError):
            link.recv(1)
    assert direct.get("n") is None


@pytest.mark.parametrize("size", [1, 7])
def test_splits_answers(
    proxy: Proxy, client: Redis, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, pieces = socket.socket.sendall, []

    def note(sock: socket.socket, data: bytes) -> None:
        if sock.getsockname()[1] == proxy.port:
            pieces.append(len(data))
        send(sock, data)

    # A slow reader may find several of them at once.
    monkeypatch.setattr(socket.socket, "sendall", note)
    proxy.split(size)
    value = bytes(range(256)) * 16
    client.set("name", value)
    assert client.get("name") == value
    assert max(pieces) == size
