"""Blocking connections: their number, their time limits and their errors."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis.connection import AbstractConnection
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    InvalidResponse,
    ReadOnlyError,
    TimeoutError as RedisTimeoutError,
)

from django_redislock.backends.redis.commands import call, pack
from django_redislock.backends.redis.errors import NotAsked
from django_redislock.backends.redis.scripts import INSPECT
from django_redislock.backends.redis.wire import links
from django_redislock.backends.redis.wire.node import AT_ONCE, Node
from django_redislock.testing.servers import EmbeddedServer
from tests.backends.nodes import PING, echo, node_at, opened
from tests.support.proxy import Proxy
from tests.support.tls import Certificates, TlsServer

ECHOES = [pack("ECHO", str(number)) for number in range(50)]


@pytest.fixture
def node(redis_url: str) -> Iterator[Node]:
    node = node_at(redis_url)
    yield node
    node.close()


@pytest.mark.parametrize(
    "how", [{"protocol": 2}, {"protocol": 3}, {"decode_responses": True}], ids=str
)
def test_a_link_sends_and_reads(redis_url: str, how: dict[str, Any]) -> None:
    node = node_at(redis_url, **how)
    assert node.exchange([PING]) == ([b"PONG"], False)
    assert node.exchange(ECHOES).replies == [b"%d" % number for number in range(50)]
    (error, pong), _ = node.exchange([pack("NO-SUCH"), PING])
    assert "unknown command" in str(error)
    assert pong == b"PONG"
    large = "x" * 300_000
    assert echo(node, large) == large
    assert node.exchange([pack("EVAL", "return {1, {'a', false}, {}}", 0)]).replies == [
        [1, [b"a", None], []]
    ]
    assert opened(node) == 1
    node.close()


@pytest.mark.parametrize("chunk", [8, 65536])  # bytes; `$6\r\n12\r\n` are eight
def test_short_replies_are_read(node: Node, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(links, "CHUNK", chunk)
    for word in ("12", "007", "-3", "12\r\n34", ""):
        assert echo(node, word) == word
    for number in (0, -7, 2**53):
        assert node.exchange([pack("EVAL", f"return {number}", 0)]) == ([number], False)


def test_nothing_is_packed_by_hiredis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It crashes the process if a signal handler raises inside of it."""

    class Hiredis:
        def pack(self, *words: object) -> list[bytes]:
            raise AssertionError("hiredis was used")

    monkeypatch.setattr(
        AbstractConnection, "_construct_command_packer", lambda self, packer: Hiredis()
    )
    node = node_at(redis_url, client_name="me", health_check_interval=1)
    assert echo(node, "word") == "word"
    node.close()


@pytest.mark.parametrize("more", [b">2\r\n+half\r\n", b":2\r\n", b":"])
def test_data_behind_a_reply_ends_the_connection(node: Node, more: bytes) -> None:
    link = node._free[-1]
    ours, theirs = socket.socketpair()
    with theirs:
        link.sock, link.clean, link.used_at = ours, True, time.monotonic()
        theirs.sendall(b":1\r\n" + more)
        assert link.exchange([PING], 1.0) == [1]
        assert (link.sock, link.clean) == (None, False)
    assert echo(node, "next") == "next"


def test_a_script_unknown_to_the_server_is_sent(node: Node) -> None:
    node.exchange([pack("SCRIPT", "FLUSH")])
    replies, again = node.exchange([PING, call(INSPECT, "links", "a", "", ()), PING])
    assert [replies[0], replies[2], again] == [b"PONG", b"PONG", False]
    assert not isinstance(replies[1], Exception)


def test_requests_one_after_the_other_use_one_connection(node: Node) -> None:
    for number in range(100):
        assert echo(node, f"{number}") == f"{number}"
    assert opened(node) == 1


def test_500_threads_stay_within_the_limit_of_connections(own_server: EmbeddedServer) -> None:
    node = node_at(own_server.url)
    start = threading.Barrier(500)
    wrong: list[str] = []

    def work(number: int) -> None:
        start.wait()
        for attempt in range(5):
            word = f"{number} {attempt}"
            if echo(node, word) != word:
                wrong.append(word)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 1 < opened(node) <= AT_ONCE
    (clients,), _ = node.exchange([pack("CLIENT", "LIST")])
    assert clients.count(b"\n") <= AT_ONCE
    assert sorted(map(id, node._free)) == sorted(map(id, node._links))
    node.close()


def test_a_link_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with EmbeddedServer(args=["--unixsocket", str(path)]):
        node = node_at(f"unix://{path}")
        assert echo(node, "by file") == "by file"
        node.close()


def test_a_link_over_tls(
    own_server: EmbeddedServer, certificates: Certificates, tls_options: dict[str, Any]
) -> None:
    with closing(TlsServer(certificates, own_server.port)) as tls:
        node = node_at(f"rediss://127.0.0.1:{tls.port}", **tls_options)
        assert echo(node, "by tls") == "by tls"
        large = "x" * 300_000
        assert echo(node, large) == large
        (link,) = [link for link in node._links if link.sock is not None]
        first = link.sock
        time.sleep(2 * links.ASSUMED_OPEN)
        assert echo(node, "after a while") == "after a while"
        assert link.sock is first
        link.retire()
        assert node.exchange([PING]) == ([b"PONG"], True)
        node.close()


class TestTimeLimits:
    def test_the_smaller_one_counts(self, proxy: Proxy) -> None:
        node = node_at(proxy.url, socket_timeout=0.5)
        assert echo(node, "warm") == "warm"
        proxy.black_hole()
        for within, limit in ((0.1, 0.1), (None, 0.5), (9.0, 0.5)):
            began = time.monotonic()
            with pytest.raises(RedisTimeoutError):
                node.exchange([PING], within)
            assert limit <= time.monotonic() - began < limit + 5
            node.breaker.reset()
        proxy.pass_through()
        assert echo(node, "again") == "again"
        node.close()

    def test_replies_in_pieces_do_not_prolong_it(
        self, own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(links, "CHUNK", 1)
        node = node_at(own_server.url)
        assert echo(node, "word") == "word"
        began = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            node.exchange([PING, pack("BLPOP", "nothing", 30)], 0.2)
        assert 0.2 <= time.monotonic() - began < 5

    def test_an_attempt_that_waits_for_a_connection_waits_no_longer(self, node: Node) -> None:
        taken = [node._free.pop() for _ in range(AT_ONCE)]
        with pytest.raises(NotAsked, match="32 connections"):
            node.exchange([PING], 0.1)
        assert not node._line
        node._free.extend(taken)
        assert echo(node, "again") == "again"


class TestErrors:
    def test_a_request_after_an_idle_connection_was_cut_is_sent_once(self, proxy: Proxy) -> None:
        node = node_at(proxy.url)
        assert echo(node, "warm") == "warm"
        proxy.cut()
        time.sleep(links.ASSUMED_OPEN)
        assert node.exchange([PING]) == ([b"PONG"], False)

    def test_a_request_cut_on_the_way_is_sent_again(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = node_at(proxy.url)
        assert echo(node, "warm") == "warm"
        monkeypatch.setattr(links, "ASSUMED_OPEN", 60.0)
        proxy.cut()
        assert node.exchange([PING]) == ([b"PONG"], True)

    def test_a_request_whose_connection_was_cut_while_it_opened_is_sent_once(
        self, proxy: Proxy
    ) -> None:
        node = node_at(proxy.url)
        trigger = proxy.drop_next_reply(b"LIB-NAME")
        assert node.exchange([PING]) == ([b"PONG"], False)
        assert trigger.fired
        node.close()

    @pytest.mark.parametrize("reply", [b":%b\r\n", b"$%b\r\n7\r\n"])
    def test_a_number_with_too_many_digits_ends_the_connection(
        self, node: Node, reply: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(links, "ASSUMED_OPEN", 60.0)
        assert echo(node, "warm") == "warm"
        link = node._free[-1]
        ours, theirs = socket.socketpair()
        assert link.sock is not None
        link.sock.close()
        link.sock = ours
        theirs.sendall(reply % (b"9" * 5000))
        with closing(theirs), pytest.raises(InvalidResponse):
            node.exchange([PING])
        assert echo(node, "again") == "again"

    def test_a_refused_connection_is_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(RedisConnectionError):
            node_at(f"redis://127.0.0.1:{port}").exchange([PING])

    @pytest.mark.parametrize(
        "write", [pack("SET", "a", "1"), pack("EVAL", "return redis.call('SET', 'a', '1')", 0)]
    )
    def test_the_error_of_a_replica_ends_the_connection(
        self, own_server: EmbeddedServer, write: bytes
    ) -> None:
        node = node_at(own_server.url)
        node.exchange([pack("REPLICAOF", "127.0.0.1", "1")])
        (link,) = [link for link in node._links if link.sock is not None]
        before = link.sock
        with pytest.raises(ReadOnlyError):
            node.exchange([write])
        assert link.sock is not before


def test_a_forked_child_uses_connections_of_its_own(node: Node) -> None:
    (mine,), _ = node.exchange([pack("CLIENT", "ID")])
    (link,) = [link for link in node._links if link.sock is not None]
    child = os.fork()
    if not child:
        status = 1
        try:
            node.after_fork()
            (its,), _ = node.exchange([pack("CLIENT", "ID")])
            status = 0 if its != mine and link.sock is None else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert node.exchange([pack("CLIENT", "ID")]).replies == [mine]
