"""Connections of an event loop, which receive replies in any pieces."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable
from ssl import SSLWantReadError
from typing import Any

import pytest
from redis.exceptions import AskError, MovedError, NoScriptError, ReadOnlyError, RedisError

from django_redislock.backends.redis.wire.async_links import AsyncLink, Request


class Connected:
    """A link, the requests that went out over it, and the errors with which it has ended."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.loop = asyncio.get_running_loop()
        self.link = AsyncLink(self.loop, lambda link, error: self.errors.append(error))
        self.sock, self.server = socket.socketpair()
        self.link.take(self.sock)

    def ask(self, count: int = 1) -> Request:
        request = Request([b"PING\r\n"] * count, self.loop.create_future(), math.inf)
        self.link.send(request, 0.0)
        return request

    def receive(self, data: bytes, size: int) -> None:
        for start in range(0, len(data), size):
            self.link.receive(data[start : start + size])

    def close(self) -> None:
        self.link.end(RedisError("The test is over."))
        self.server.close()


@pytest.fixture
async def connected() -> AsyncIterator[Connected]:
    connected = Connected()
    yield connected
    connected.close()


SIZES = pytest.mark.parametrize("size", [1, 3, 1000])


@SIZES
async def test_messages_that_are_no_answers_are_ignored(connected: Connected, size: int) -> None:
    one, two = connected.ask(), connected.ask(2)
    push = b">3\r\n+message\r\n$1\r\na\r\n*2\r\n:7\r\n-ERR no\r\n"
    connected.receive(push + b":1\r\n" + push + b"*2\r\n:2\r\n:3\r\n" + push, size)
    assert (one.future.done(), two.future.done()) == (True, False)
    connected.receive(b"$2\r\n:4\r\n" + push, size)
    assert (one.replies, two.replies) == ([1], [[2, 3], b":4"])
    assert two.future.done()
    assert connected.errors == []


@SIZES
async def test_errors_are_in_the_positions_of_their_replies(
    connected: Connected, size: int
) -> None:
    first, second = connected.ask(3), connected.ask()
    moved, asked = b"-MOVED 1 127.0.0.1:7001\r\n", b"-ASK 2 127.0.0.1:7002\r\n"
    connected.receive(moved + asked + b"*1\r\n" + moved + b"-NOSCRIPT none\r\n", size)
    moved_to, asked_of, (inside,) = first.replies
    assert [type(inside), type(moved_to), type(asked_of)] == [MovedError, MovedError, AskError]
    assert (moved_to.port, asked_of.port) == (7001, 7002)
    assert [type(reply) for reply in second.replies] == [NoScriptError]
    assert (first.unknown_script, second.unknown_script) == (False, True)
    assert connected.errors == []


async def test_the_error_of_a_replica_ends_the_connection(connected: Connected) -> None:
    first, second = connected.ask(), connected.ask()
    connected.receive(b"-READONLY You can't write.\r\n:1\r\n", 1000)
    assert [type(error) for error in connected.errors] == [ReadOnlyError]
    assert (first.replies, second.replies) == ([], [])


@pytest.mark.parametrize("data", [b":1\r\n:2\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"*x\r\n"])
@SIZES
async def test_an_invalid_reply_ends_the_connection(
    connected: Connected, data: bytes, size: int
) -> None:
    connected.ask()
    connected.receive(data, size)
    (error,) = connected.errors
    assert isinstance(error, RedisError)
    assert "invalid reply" in str(error)


async def test_a_long_reply_is_read_in_many_pieces(connected: Connected) -> None:
    long, short = connected.ask(), connected.ask()
    listed = b"*2\r\n:1\r\n$30\r\n" + b"x" * 30 + b"\r\n"
    connected.receive(b"*4000\r\n" + listed * 4000 + b":2\r\n", 1000)
    assert long.replies == [[[1, b"x" * 30]] * 4000]
    assert short.replies == [2]


async def test_what_the_socket_does_not_take_at_once_is_sent_later(connected: Connected) -> None:
    texts = [b"%d" % number * 300_000 for number in range(3)]
    for text in texts:
        request = Request([text], connected.loop.create_future(), math.inf)
        connected.link.send(request, 0.0)
    connected.server.setblocking(False)
    arrived = b""
    while len(arrived) < sum(map(len, texts)):
        arrived += await connected.loop.sock_recv(connected.server, 65536)
    assert arrived == b"".join(texts)
    assert connected.errors == []
    assert not connected.loop.remove_writer(connected.sock), "it would be called for ever"


async def test_a_connection_that_ends_before_all_requests_are_sent(
    connected: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    connected.ask()
    connected.ask()  # written at the next turn of the loop
    connected.link.end(RedisError("The server closed it."))
    await asyncio.sleep(0)
    assert len(connected.errors) == 1
    assert not caplog.records, "an error in a callback"


async def test_tls_that_is_renegotiated_while_a_request_is_sent_ends_the_connection(
    connected: Connected,
) -> None:
    """Nothing can be sent until data arrives, and to wait for the socket would take all the CPU."""

    class Renegotiated(socket.socket):
        def send(self, *args: object) -> int:
            raise SSLWantReadError(2, "The operation did not complete (read)")

    connected.link._sock = Renegotiated(fileno=connected.sock.detach())
    connected.ask()
    (error,) = connected.errors
    assert isinstance(error, RedisError)
    assert connected.link._sock is None


@pytest.mark.parametrize("next_step", ["send", "receive", "flush"])
async def test_the_step_after_an_interrupted_one_ends_the_connection(
    connected: Connected, next_step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(data: bytes) -> None:
        raise KeyboardInterrupt

    connected.ask()
    connected.ask()  # written at the next turn of the loop
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(connected.link, "_read", interrupted)
        connected.link.receive(b":1\r\n")
    if next_step == "send":
        connected.ask()
    elif next_step == "receive":
        connected.link.receive(b":1\r\n")
    else:
        await asyncio.sleep(0)
    (error,) = connected.errors
    assert "was interrupted" in str(error)


def test_an_event_loop_need_only_take_file_descriptors() -> None:
    """rloop takes no file objects, although asyncio does."""

    def strict(verb: Callable[..., Any]) -> Callable[..., Any]:
        def checked(fd: Any, *args: Any) -> Any:
            assert type(fd) is int
            return verb(fd, *args)

        return checked

    async def send_much() -> None:
        connected = Connected()
        size = 4_000_000
        connected.link.send(Request([b" " * size], loop.create_future(), math.inf), 0.0)
        reading = asyncio.to_thread(connected.server.recv, size, socket.MSG_WAITALL)
        assert len(await reading) == size
        connected.close()

    loop = asyncio.SelectorEventLoop()
    for verb in ("add_reader", "add_writer", "remove_reader", "remove_writer"):
        setattr(loop, verb, strict(getattr(loop, verb)))
    loop.run_until_complete(send_much())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
