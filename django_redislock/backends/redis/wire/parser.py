"""Parser for RESP2 and RESP3, which takes bytes as they arrive and does no I/O of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from redis.exceptions import InvalidResponse

from .driver import error_of

__all__ = ["ONE_REPLY", "Parser"]

# An integer or a bulk string, and nothing else: the reply to most commands. This reads it faster
# than the parser does.
ONE_REPLY = re.compile(rb":(-?[0-9]{1,18})\r\n|\$([0-9]{1,9})\r\n(.*)\r\n", re.DOTALL)

_INTEGER, _BULK = b":$"
_TEXTS, _LISTS, _APART = b"$=!", b"*~%>|", b">|"


class Parser:
    """Parses what a server sends on one connection. Each item is parsed once, however it is split.

    Error replies are exceptions among the others. Maps are flat, as in RESP2. Messages that answer
    no command are left out. If a call raises an exception, the connection must end too.
    """

    __slots__ = ("_items", "_lacks", "_missing", "_outer", "_pieces", "_replies", "_rest")

    def __init__(self) -> None:
        # The beginning of an item.
        self._rest = b""
        # The bytes that a text lacks, as far as its length is known, and the pieces that have come.
        # They are joined once: to do that for each piece would take a large text many seconds.
        self._lacks = 0
        self._pieces: list[bytes] = []
        self._replies: list[Any] = []
        # The innermost incomplete list, and the number of items that it lacks. The list of
        # replies is never complete.
        self._items, self._missing = self._replies, -1
        # The lists around it, each with its own such number and the kind of the list inside.
        self._outer: list[tuple[list[Any], int, int]] = []

    @property
    def is_idle(self) -> bool:
        """Whether everything that has arrived was returned."""
        return not (self._rest or self._outer or self._replies)

    def read(self, count: int, more: Callable[[], bytes], data: bytes = b"") -> list[Any]:
        """Return the next ``count`` replies; ``more()`` waits for more bytes."""
        replies = self.feed(data)
        while len(replies) < count:
            replies += self.feed(more())
        self._replies += replies[count:]
        return replies[:count]

    def feed(self, data: bytes) -> list[Any]:
        """Return the replies that are complete with these bytes."""
        found = ONE_REPLY.fullmatch(data)
        if found and not (self._rest or self._outer or self._replies):
            if found[1]:
                return [int(found[1])]
            if len(found[3]) == int(found[2]):
                return [found[3]]
        if self._lacks:
            self._pieces.append(data)
            self._lacks -= len(data)
            if self._lacks > 0:
                return self._complete()
            data = b"".join((self._rest, *self._pieces))
            self._rest, self._pieces, self._lacks = b"", [], 0
        return self._parsed(data)

    def _parsed(self, data: bytes) -> list[Any]:  # noqa: C901 - a call per item takes longer
        data, at = self._rest + data, 0
        items, missing, outer = self._items, self._missing, self._outer
        while (end := data.find(b"\r\n", at)) >= 0:
            kind, line = data[at], data[at + 1 : end]
            if kind == _INTEGER:
                items.append(int(line))
            elif kind in _TEXTS:
                size = int(line)
                if size >= 0:
                    start, end = end + 2, end + 2 + size
                    if len(data) < end + 2:
                        self._lacks = end + 2 - len(data)
                        break
                    value = data[start:end]
                    items.append(value if kind == _BULK else _of_text(kind, value))
                else:
                    items.append(None)
            elif kind in _LISTS:
                size = int(line)
                at = end + 2
                if size > 0:
                    outer.append((items, missing, kind))
                    items, missing = [], size * 2 if kind in b"%|" else size
                    continue
                if kind in _APART:
                    continue
                items.append(None if size else [])
            else:
                items.append(_of_line(kind, line))
            at = end + 2
            missing -= 1
            while not missing:
                complete = items
                items, missing, kind = outer.pop()
                if kind not in _APART:
                    items.append(complete)
                    missing -= 1
        self._rest, self._items, self._missing = data[at:], items, missing
        return self._complete()

    def _complete(self) -> list[Any]:
        replies = self._replies[:]
        self._replies.clear()
        return replies


def _of_line(kind: int, line: bytes) -> Any:
    """The value of a line."""
    if kind == ord("+"):
        return line
    if kind == ord("-"):
        return error_of(line.decode(errors="replace"))
    if kind == ord("("):
        return int(line)
    if kind == ord("_"):
        return None
    if kind == ord("#"):
        return line == b"t"
    if kind == ord(","):
        return float(line)
    raise InvalidResponse(f"The server sent {bytes([kind]) + line!r}, which is not a valid reply.")


def _of_text(kind: int, value: bytes) -> Any:
    """The value of a bulk error or a verbatim string."""
    if kind == ord("!"):
        return error_of(value.decode(errors="replace"))
    return value[4:]  # "txt:" begins a verbatim string
