"""The parser of replies: all types of RESP2 and RESP3, in pieces of any size."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest
from redis.exceptions import (
    AskError,
    InvalidResponse,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from django_redislock.backends.redis.wire.links import Link
from django_redislock.backends.redis.wire.parser import Parser
from django_redislock.clock import monotonic
from tests.backends.nodes import PING, node_at

# Redis 6.2's text for a command inside a script.
READ_ONLY = (
    b"-ERR Error running script (call to f_717e318b36370f98638b690367b1694353771976): "
    b"@user_script:134: @user_script: 134: -READONLY You can't write.\r\n"
)

REPLIES: list[tuple[bytes, Any]] = [
    (b"+OK\r\n", b"OK"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"$6\r\na\r\nb\r\n\r\n", b"a\r\nb\r\n"),
    (b"$4\r\n:1\r\n\r\n", b":1\r\n"),  # a piece of it looks like a reply
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n*0\r\n", [1, [b"a", None], []]),
    (b"*1\r\n*1\r\n*1\r\n:7\r\n", [[[7]]]),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",1.5\r\n", 1.5),
    (b",-inf\r\n", -math.inf),
    (b"(-12345678901234567890\r\n", -12345678901234567890),
    (b"=5\r\ntxt:a\r\n", b"a"),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", [b"a", 1, b"b", [2]]),
    (b"%0\r\n", []),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b">2\r\n+invalidate\r\n*1\r\n+a\r\n:5\r\n", 5),
    (b">0\r\n:5\r\n", 5),
    (b"|1\r\n+ttl\r\n:9\r\n:6\r\n", 6),
    (b"*2\r\n:1\r\n|1\r\n+ttl\r\n*1\r\n:9\r\n:6\r\n", [1, 6]),
]


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize(("data", "value"), REPLIES, ids=lambda part: repr(part)[:30])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_a_reply_is_read_in_pieces_of_any_size(data: bytes, value: Any, size: int) -> None:
    parser, pieces = Parser(), in_pieces(data, size)
    assert parser.read(1, lambda: pieces.pop(0)) == [value]
    assert not pieces
    assert parser.is_idle


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_many_replies_are_read_in_pieces_of_any_size(size: int) -> None:
    parser, data = Parser(), b"".join(reply for reply, _ in REPLIES)
    found = [reply for piece in in_pieces(data, size) for reply in parser.feed(piece)]
    assert found == [value for _, value in REPLIES]
    assert parser.is_idle


@pytest.mark.parametrize("reply", [reply for reply, _ in REPLIES if reply[:1] not in b">|"])
def test_an_incomplete_reply_is_not_returned(reply: bytes) -> None:
    for size in range(1, len(reply)):
        parser = Parser()
        assert parser.feed(reply[:size]) == []
        assert not parser.is_idle


def test_a_message_is_no_reply() -> None:
    parser, message = Parser(), b">2\r\n+message\r\n*1\r\n:1\r\n"
    for size in range(1, len(message)):
        assert parser.feed(message[:size]) == []
        assert not parser.is_idle
        assert parser.feed(message[size:]) == []
        assert parser.is_idle


def test_replies_to_later_requests_are_kept() -> None:
    parser = Parser()
    assert parser.read(1, list[bytes]().pop, b":1\r\n:2\r\n") == [1]
    assert not parser.is_idle
    assert parser.feed(b"") == [2]
    assert parser.read(2, list[bytes]().pop, b":1\r\n:2\r\n:3\r\n:4\r\n*2\r\n:5\r\n") == [1, 2]
    assert not parser.is_idle
    assert parser.read(1, list[bytes]().pop) == [3]
    assert parser.feed(b":6\r\n") == [4, [5, 6]]
    assert parser.is_idle


@pytest.mark.parametrize(
    ("sent", "kind", "says"),
    [
        (b"-NOSCRIPT none\r\n", NoScriptError, "none"),
        (b"-ERR no\r\n", ResponseError, "no"),
        (b"!11\r\nERR it\r\nhas\r\n", ResponseError, "it\r\nhas"),
        (READ_ONLY, ReadOnlyError, "You can't write."),
        (b"-MOVED 3999 127.0.0.1:6381\r\n", MovedError, "3999 127.0.0.1:6381"),
        (b"-ASK 3999 127.0.0.1:6381\r\n", AskError, "3999 127.0.0.1:6381"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_errors_are_those_of_redis_py(sent: bytes, kind: type, says: str, size: int) -> None:
    parser, pieces = Parser(), in_pieces(b"*1\r\n" + sent + sent, size)
    (inside,), alone = parser.read(2, lambda: pieces.pop(0))
    assert [type(inside), type(alone)] == [kind, kind]
    assert [str(inside), str(alone)] == [says, says]


@pytest.mark.parametrize("sent", [b"HTTP/1.1 400 Bad Request\r\n", b"*1\r\n?1\r\n"])
def test_an_invalid_reply_is_an_error(sent: bytes) -> None:
    with pytest.raises(InvalidResponse, match="not a valid reply"):
        Parser().feed(sent)


def test_a_long_list_is_not_parsed_again_from_its_beginning() -> None:
    """Each item is parsed once. Only an incomplete one is kept as bytes."""
    item = b"*2\r\n:1700000000000\r\n$40\r\n" + b"x" * 40 + b"\r\n"
    parser, data = Parser(), b"*3000\r\n" + item * 3000
    assert len(data) > 200_000
    *pieces, last = in_pieces(data, 1000)
    for piece in pieces:
        assert parser.feed(piece) == []
        assert len(parser._rest) < len(item)
    assert parser.feed(last) == [[[1_700_000_000_000, b"x" * 40]] * 3000]
    assert parser.is_idle


def test_a_long_string_is_read() -> None:
    parser, text = Parser(), b"a\r\n:1\r\n" * 25_000
    pieces = in_pieces(b"$%d\r\n%b\r\n" % (len(text), text), 1000)
    assert parser.read(1, lambda: pieces.pop(0)) == [text]
    assert parser.is_idle


@pytest.mark.parametrize("around", [b"%b", b"*2\r\n:1\r\n%b", b"*2\r\n%b:1\r\n"])
def test_a_long_string_is_joined_once(around: bytes) -> None:
    """Each byte is copied a fixed number of times, however many pieces arrive."""
    parser, text = Parser(), b"a\r\n:1\r\n" * 25_000
    whole = around % (b"$%d\r\n%b\r\n" % (len(text), text))
    data = b":7\r\n" + whole + b":8\r\n"
    first, *pieces = in_pieces(data, 1000)
    found, copied = parser.feed(first), 0
    for piece in pieces:
        before = parser._rest
        found += parser.feed(piece)
        if parser._rest is not before:
            copied += len(before) + len(piece)
    assert found == [7, *Parser().feed(whole), 8]
    assert copied <= 2 * 1000
    assert parser.is_idle


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_earlier_replies_are_kept_while_a_long_string_arrives(size: int) -> None:
    parser, text = Parser(), b"x" * 5000
    assert parser.read(1, list[bytes]().pop, b":1\r\n:2\r\n$5000\r\nx") == [1]
    pieces = in_pieces(text[1:] + b"\r\n", size)
    assert parser.read(2, lambda: pieces.pop(0)) == [2, text]
    assert parser.is_idle


@pytest.mark.parametrize("answer", [b":\r\n", b"$abc\r\n", b"*?\r\n", b"-MOVED\r\n"], ids=str)
def test_an_invalid_reply_ends_the_connection(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    link = Link(node_at("redis://127.0.0.1").source)
    link.sock, link.clean, link.used_at = ours, True, monotonic()
    with theirs:
        theirs.sendall(answer)
        with pytest.raises(RedisError):
            link.exchange([PING], 1.0)
    assert not link.clean
