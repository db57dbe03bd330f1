"""The parsers of replies: all types of RESP2 and RESP3, in whatever pieces they arrive."""

from __future__ import annotations

import math
from typing import Any

import pytest
from redis.exceptions import InvalidResponse

from django_redislock.backends.redis.wire.resp import (
    INCOMPLETE,
    ErrorReply,
    PythonPush,
    PythonReader,
    Reader,
    new_reader,
)

REPLIES = [
    (b"+OK\r\n", b"OK"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"_\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"$6\r\na\r\nb\r\n\r\n", b"a\r\nb\r\n"),
    (b"*0\r\n", []),
    (b"*3\r\n:1\r\n$1\r\nx\r\n*2\r\n$-1\r\n*1\r\n+y\r\n", [1, b"x", [None, [b"y"]]]),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",1.5\r\n", 1.5),
    (b",-inf\r\n", -math.inf),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", {b"a": 1, b"b": [2]}),
    (b"%0\r\n", {}),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
]


def replies_of(reader: Reader, data: bytes, size: int) -> list[Any]:
    found = []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (reply := reader.gets()) is not INCOMPLETE:
            found.append(list(reply) if isinstance(reply, set) else reply)
    return found


@pytest.mark.parametrize("make", [PythonReader, new_reader])
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_replies_in_pieces(make: Any, size: int) -> None:
    data = b"".join(sent for sent, _ in REPLIES)
    assert replies_of(make(), data, size) == [reply for _, reply in REPLIES]


@pytest.mark.parametrize("sent", [b"-NOSCRIPT No such script.\r\n", b"!11\r\nERR it\r\nhas\r\n"])
@pytest.mark.parametrize("size", [1, 100])
def test_errors_are_returned(sent: bytes, size: int) -> None:
    inside, alone = replies_of(PythonReader(), b"*1\r\n" + sent + sent, size)
    assert type(inside[0]) is type(alone) is ErrorReply
    assert str(alone) in {"NOSCRIPT No such script.", "ERR it\r\nhas"}


@pytest.mark.parametrize("size", [1, 100])
def test_pushes_are_told_apart_and_attributes_left_out(size: int) -> None:
    sent = b"|1\r\n+ttl\r\n:5\r\n*2\r\n:1\r\n|0\r\n:2\r\n>2\r\n+message\r\n=7\r\ntxt:abc\r\n:3\r\n"
    listed, push, last = replies_of(PythonReader(), sent, size)
    assert (listed, list(push), last) == ([1, 2], [b"message", b"abc"], 3)
    assert type(push) is PythonPush


def test_numbers_of_any_size() -> None:
    assert replies_of(PythonReader(), b"(-" + b"9" * 40 + b"\r\n", 7) == [1 - 10**40]


def test_what_is_no_reply_is_an_error() -> None:
    reader = PythonReader()
    reader.feed(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(InvalidResponse, match="HTTP"):
        reader.gets()


def test_a_long_list_is_not_read_from_its_beginning_again() -> None:
    """Each piece is looked at once, whatever came before it."""
    reader = PythonReader()
    reader.feed(b"*2000\r\n")
    for _ in range(1999):
        reader.feed(b":1\r\n")
        assert reader.gets() is INCOMPLETE
        assert len(reader._data) <= 16
    reader.feed(b":1\r\n")
    assert reader.gets() == [1] * 2000
