"""The parser of replies, in pieces of any size."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import InvalidResponse, NoScriptError, ResponseError

from django_redislock.backends.redis.wire.parser import Incomplete, incomplete, read

REPLIES: list[tuple[bytes, Any]] = [
    (b"+OK\r\n", b"OK"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"$4\r\na\r\nb\r\n", b"a\r\nb"),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n*0\r\n", [1, [b"a", None], []]),
    (b"*1\r\n*1\r\n*1\r\n:7\r\n", [[[7]]]),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",1.5\r\n", 1.5),
    (b"(12345678901234567890\r\n", 12345678901234567890),
    (b"=5\r\ntxt:a\r\n", b"a"),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", [b"a", 1, b"b", 2]),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b">2\r\n+invalidate\r\n*1\r\n+a\r\n:5\r\n", 5),
    (b"|1\r\n+ttl\r\n:9\r\n:6\r\n", 6),
    (b"*1\r\n|1\r\n+ttl\r\n:9\r\n:6\r\n", [6]),
]


@pytest.mark.parametrize(("data", "value"), REPLIES, ids=lambda part: repr(part)[:30])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_reply(data: bytes, value: Any, size: int) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert read(b"", 1, lambda: pieces.pop(0)) == ([value], b"")
    assert not pieces


def test_many_replies_and_what_follows_them() -> None:
    data = b"".join(reply for reply, _ in REPLIES)
    values = [value for _, value in REPLIES]
    assert read(data + b"+rest", len(REPLIES), incomplete) == (values, b"+rest")


@pytest.mark.parametrize("reply", [reply for reply, _ in REPLIES])
def test_what_is_not_complete(reply: bytes) -> None:
    for size in range(len(reply)):
        with pytest.raises(Incomplete):
            read(reply[:size], 1, incomplete)


def test_errors_are_redis_py_s() -> None:
    replies, _ = read(b"-NOSCRIPT none\r\n-ERR no\r\n!5\r\nERR x\r\n", 3, incomplete)
    assert [type(reply) for reply in replies] == [NoScriptError, ResponseError, ResponseError]


def test_what_is_no_reply() -> None:
    with pytest.raises(InvalidResponse):
        read(b"?1\r\n", 1, incomplete)
