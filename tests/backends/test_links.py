"""The blocking connections: their number, their time limits, and what interruptions do to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.connection import ConnectionPool
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
    ReadOnlyError,
    TimeoutError as RedisTimeoutError,
)

from django_redislock.backends.redis import links, node as node_module
from django_redislock.backends.redis.commands import pack
from django_redislock.backends.redis.links import Link
from django_redislock.backends.redis.node import AT_ONCE, Node
from django_redislock.backends.redis.scripts import INSPECT
from django_redislock.backends.redis.sources import Source
from django_redislock.process import ServiceThread
from django_redislock.testing.servers import EmbeddedServer
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

PING = pack("PING")
ECHOES = [pack("ECHO", str(number)) for number in range(50)]


def node_at(url: str, **settings: Any) -> Node:
    return Node(Source(ConnectionPool.from_url(url, **settings), "here"))


def echo(node: Node, word: str) -> Any:
    """What the server answers: the same word, unless it answers somebody else."""
    (reply,), _ = node.exchange((pack("ECHO", word),))
    return reply.decode()


def opened(node: Node) -> int:
    return sum(link.sock is not None for link in node._links)


@pytest.fixture
def node(redis_url: str) -> Iterator[Node]:
    node = node_at(redis_url)
    yield node
    node.close()


@pytest.mark.parametrize(
    "how", [{"protocol": 2}, {"protocol": 3}, {"decode_responses": True}], ids=str
)
def test_it_sends_and_reads(redis_url: str, how: dict[str, Any]) -> None:
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


def test_a_script_that_the_server_has_forgotten_is_sent(node: Node) -> None:
    call = pack("EVALSHA", INSPECT.sha, 6, *(f"{{links}}:{n}" for n in range(6)), "", "a", "1")
    node.exchange([pack("SCRIPT", "FLUSH")])
    replies, again = node.exchange([PING, call, PING])
    assert [replies[0], replies[2], again] == [b"PONG", b"PONG", False]
    assert not isinstance(replies[1], Exception)


def test_one_after_the_other_uses_one_connection(node: Node) -> None:
    for number in range(100):
        assert echo(node, f"{number}") == f"{number}"
    assert opened(node) == 1


def test_500_threads_open_no_more_connections_than_there_may_be(own_server: EmbeddedServer) -> None:
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


def test_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with EmbeddedServer(args=["--unixsocket", str(path)]):
        node = node_at(f"unix://{path}")
        assert echo(node, "by file") == "by file"
        node.close()


@pytest.fixture
def tls_port(tmp_path: Path, redis_url: str) -> Iterator[int]:
    """A port that speaks TLS, and passes on what it is told to the suite's server."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    address = urlsplit(redis_url)
    ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(20) as pool:

        def pass_on(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near = context.wrap_socket(listening.accept()[0], server_side=True)
                    far = socket.create_connection((str(address.hostname), address.port or 6379))
                    ends.extend((near, far))
                    pool.submit(pass_on, near, far)
                    pool.submit(pass_on, far, near)

        pool.submit(accept)
        yield listening.getsockname()[1]
        for end in (listening, *ends):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(end, socket.SHUT_RDWR)
    for end in ends:
        end.close()


def test_over_tls(tls_port: int) -> None:
    node = node_at(f"rediss://127.0.0.1:{tls_port}", ssl_cert_reqs="none")
    assert echo(node, "by tls") == "by tls"
    large = "x" * 300_000
    assert echo(node, large) == large
    (link,) = [link for link in node._links if link.sock is not None]
    first = link.sock
    time.sleep(2 * links.FRESH)
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

    def test_connecting_is_part_of_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
            node = node_at(f"redis://127.0.0.1:{silent.getsockname()[1]}", protocol=3)
            began = time.monotonic()
            with pytest.raises(RedisTimeoutError):
                node.exchange([PING], 0.2)
            assert time.monotonic() - began < 4

    def test_who_waits_for_a_connection_waits_no_longer(self, node: Node) -> None:
        taken = [node._free.pop() for _ in range(AT_ONCE)]
        with pytest.raises(RedisTimeoutError, match="32 connections"):
            node.exchange([PING], 0.1)
        assert not node._line
        node._free.extend(taken)
        assert echo(node, "again") == "again"


class TestErrors:
    def test_what_was_cut_while_idle_is_sent_once(self, proxy: Proxy) -> None:
        node = node_at(proxy.url)
        assert echo(node, "warm") == "warm"
        proxy.cut()
        time.sleep(links.FRESH)
        assert node.exchange([PING]) == ([b"PONG"], False)

    def test_what_was_cut_on_the_way_is_sent_again(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = node_at(proxy.url)
        assert echo(node, "warm") == "warm"
        monkeypatch.setattr(links, "FRESH", 60.0)
        proxy.cut()
        assert node.exchange([PING]) == ([b"PONG"], True)

    def test_a_refused_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(RedisConnectionError):
            node_at(f"redis://127.0.0.1:{port}").exchange([PING])

    def test_a_replica_is_left(self, own_server: EmbeddedServer) -> None:
        node = node_at(own_server.url)
        node.exchange([pack("REPLICAOF", "127.0.0.1", "1")])
        (link,) = [link for link in node._links if link.sock is not None]
        before = link.sock
        with pytest.raises(ReadOnlyError):
            node.exchange([pack("SET", "a", "1")])
        assert link.sock is not before


class Interrupted(BaseException):
    """As a time limit or a signal raises it."""


def interrupt_at(step: int, times: int, files: tuple[str, ...], call: Callable[[], object]) -> bool:
    """Raise at the given step (opcode) inside the files, and at the next as well for each of
    `times`. Return whether there was such a step."""
    left = step

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            nonlocal left
            left -= 1
            if -times < left <= 0:
                raise Interrupted
        return trace

    sys.settrace(trace)
    try:
        call()
    except Interrupted:
        pass
    finally:
        sys.settrace(None)
    return left <= 0


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("state", ["fresh", "idle", "new", "cut"])
def test_interruptions_anywhere(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, state: str, times: int
) -> None:
    files = (links.__file__, node_module.__file__)
    monkeypatch.setattr(links, "FRESH", -1.0 if state == "idle" else 60.0)
    monkeypatch.setattr(node_module, "LOST_AFTER", -60.0)
    node = node_at(redis_url)
    assert echo(node, "warm") == "warm"
    step = lost = 0
    while True:
        step += 1
        link = node._free[-1]
        if state == "new":
            link.close()
        elif state == "cut" and link.sock is not None:
            link.sock.shutdown(socket.SHUT_RDWR)
        if not interrupt_at(step, times, files, lambda: echo(node, "interrupted")):
            break
        assert len(node._free) == len({*node._free}) <= AT_ONCE
        lost += AT_ONCE - len(node._free)
        word = f"after {step}"
        assert echo(node, word) == word
        if len(node._free) < AT_ONCE:
            for _ in range(node_module.MISSED):
                node.mend()
        assert {*node._free} == {*node._links}
        assert len(node._free) == AT_ONCE
        assert not node._line
    assert step > 50
    assert lost
    node.close()


@pytest.mark.parametrize("times", [1, 2])
def test_interruptions_of_who_waits_for_a_connection(redis_url: str, times: int) -> None:
    node = node_at(redis_url)
    step = 0
    while True:
        step += 1
        taken = [node._free.pop() for _ in range(AT_ONCE)]
        # It comes back while somebody waits for it.
        timer = threading.Timer(0.001, lambda taken=taken: _give_back(node, taken))
        timer.start()
        hit = interrupt_at(step, times, (node_module.__file__,), lambda: echo(node, "interrupted"))
        timer.join()
        assert len(node._free) == len({*node._free}) <= AT_ONCE
        began = time.monotonic()
        assert echo(node, "after") == "after"
        assert time.monotonic() - began < 4
        node._line.clear()
        node._free.clear()
        node._free.extend(node._links)
        if not hit:
            break
    assert step > 20
    node.close()


def _give_back(node: Node, taken: list[Link]) -> None:
    node._free.extend(taken)
    node._ring()


class TestMending:
    def test_a_lost_link_is_replaced(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        assert echo(node, "warm") == "warm"
        lost = node._free.pop()
        monkeypatch.setattr(node_module, "LOST_AFTER", 0.1 - node._timeout)
        wait_until(lambda: node.mend() or lost not in node._links)
        assert len(node._free) == len(node._links) == AT_ONCE
        assert lost.retired
        with pytest.raises(RedisConnectionError):
            lost.exchange([PING], 1.0)

    def test_one_that_is_used_is_not(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        link = node._free.pop()
        monkeypatch.setattr(node_module, "LOST_AFTER", -60.0)
        for _ in range(3 * node_module.MISSED):
            assert link.exchange([PING], 1.0) == [b"PONG"]
            node.mend()
        assert link in node._links

    def test_its_old_user_sends_again(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        read = links.read

        def mended(data: bytes, count: int, more: Callable[[], bytes]) -> Any:
            monkeypatch.setattr(links, "read", read)
            (out,) = {*node._links} - {*node._free}
            node._replace(out)
            return read(b"", count, more)

        assert echo(node, "warm") == "warm"
        monkeypatch.setattr(links, "read", mended)
        assert node.exchange([PING]) == ([b"PONG"], True)
        assert {*node._free} == {*node._links}
        assert len(node._free) == AT_ONCE

    def test_our_own_threads_never_wait(self, node: Node) -> None:
        taken = [node._free.pop() for _ in range(AT_ONCE)]
        heard: list[str] = []
        jobs = ["first", "second"]

        def serve() -> None:
            while jobs:
                heard.append(echo(node, jobs.pop(0)))

        thread = ServiceThread("ours", serve, lambda: bool(jobs))
        thread.ensure()
        wait_until(lambda: heard == ["first", "second"])
        assert thread.wait(10)
        assert len(node._spares) == 1
        assert not node._free
        node._free.extend(taken)


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
