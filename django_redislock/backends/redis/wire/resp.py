"""Parsers for RESP2 and RESP3 that do no input of their own: hiredis, or a small one in Python."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

from redis.exceptions import InvalidResponse

from .scalars import of_line, of_text

# Imported by its name, since it is typed where it is installed, and unknown elsewhere.
hiredis: Any = None
with suppress(ImportError):
    hiredis = import_module("hiredis")

__all__ = ["INCOMPLETE", "ErrorReply", "Push", "PythonReader", "Reader", "new_reader"]

# What ``gets`` returns when the rest of a reply has not arrived. RESP3 has a False of its own.
INCOMPLETE = object()

# An aggregate has been begun; its items follow.
_BEGUN = object()


class ErrorReply(Exception):
    """An error that the server has replied; it is returned, not raised."""


class PythonPush(list[Any]):
    """A RESP3 message that answers no command."""


class Reader(Protocol):
    """Takes bytes as they come and gives back whole replies."""

    def feed(self, data: bytes, /) -> Any: ...
    def gets(self) -> Any: ...


# Releases of hiredis that cannot tell a push from a reply are not used.
Push: type = getattr(hiredis, "PushNotification", PythonPush)


def new_reader() -> Reader:
    """A parser for one connection."""
    if Push is PythonPush:
        return PythonReader()
    reader: Reader = hiredis.Reader(
        protocolError=InvalidResponse, replyError=ErrorReply, notEnoughData=INCOMPLETE
    )
    return reader


class PythonReader:
    """Each item is parsed once, however many pieces a reply arrives in."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        # Kind, number of items and the items so far of each aggregate that is not complete.
        self._begun: list[tuple[int, int, list[Any]]] = []

    def feed(self, data: bytes) -> None:
        del self._data[: self._at]
        self._at = 0
        self._data += data

    def gets(self) -> Any:
        while (item := self._item()) is not INCOMPLETE:
            if item is _BEGUN:
                continue
            while self._begun:
                kind, size, items = self._begun[-1]
                items.append(item)
                if len(items) < size:
                    break
                self._begun.pop()
                if kind == ord("|"):  # attributes say something about the reply that follows them
                    break
                item = _aggregate(kind, items)
            else:
                return item
        return INCOMPLETE

    def _item(self) -> Any:
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            return INCOMPLETE
        kind, line = self._data[self._at], bytes(self._data[self._at + 1 : end])
        if kind in b"$=!":
            return self._bulk(kind, int(line), end + 2)
        self._at = end + 2
        if kind in b"*%~>|":
            return self._begin(kind, int(line))
        return of_line(kind, line, ErrorReply)

    def _bulk(self, kind: int, size: int, start: int) -> Any:
        if size < 0:
            self._at = start
            return None
        if len(self._data) < start + size + 2:
            return INCOMPLETE
        self._at = start + size + 2
        value = bytes(self._data[start : start + size])
        return value if kind == ord("$") else of_text(kind, value, ErrorReply)

    def _begin(self, kind: int, size: int) -> Any:
        if size < 0:
            return None
        if kind in b"%|":
            size *= 2
        if not size:
            return _BEGUN if kind == ord("|") else _aggregate(kind, [])
        self._begun.append((kind, size, []))
        return _BEGUN


def _aggregate(kind: int, items: list[Any]) -> Any:
    if kind == ord("%"):
        return dict(zip(items[::2], items[1::2], strict=True))
    return PythonPush(items) if kind == ord(">") else items
