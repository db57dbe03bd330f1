"""Exceptions of this package: a base class, and three kinds of failure of a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from .holder import Holder

E = TypeVar("E", bound="LockError")

# Zero-width (non-)joiners: they shape letters and emoji, and are invisible themselves.
JOINERS = "\u200c\u200d"

# Characters without a visible shape: spaces, joiners, and the fillers of Hangul and Braille.
BLANKS = f" {JOINERS}\u115f\u1160\u2800\u3164\uffa0"

__all__ = [
    "InvalidLockBackend",
    "LockError",
    "LockLost",
    "LockMisuse",
    "LockNotAcquired",
    "LockUnavailable",
]


class InvalidLockBackend(ImproperlyConfigured):
    """An entry of ``LOCKS`` cannot be used; the message names it and says what to write."""


class LockError(Exception):
    """The base of all lock errors. ``name`` is the name of the lock."""

    def __init__(self, message: str, *, name: str = "") -> None:
        super().__init__(message)
        self.name = name

    @classmethod
    def of(cls: type[E], name: str, what: str) -> E:
        """Return an error whose message begins with the name of the lock."""
        return cls(f"The lock {name!r} {what}.", name=name)


class LockNotAcquired(LockError):
    """The lock was still busy when the wait was over.

    ``holder`` is the holder, if it is known. ``position`` is the place in the queue that the
    attempt had or would have had; 1 is next. ``estimated_wait`` is how many seconds such a place
    takes, judging by the holds of the last hour, or None if no such holds are known.
    ``retry_after`` is how many seconds to wait before the next attempt: the estimate, up to an
    hour, or else, and once the hold in the way has lasted longer, a guess from that hold, up to a
    minute; and up to a fifth more, so that refused attempts do not return together. If nothing is
    known of the hold in the way, it is one second, and the others are None.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        holder: Holder | None = None,
        position: int | None = None,
        estimated_wait: float | None = None,
        retry_after: float = 1.0,
    ) -> None:
        super().__init__(message, name=name)
        self.holder = holder
        self.position = position
        self.estimated_wait = estimated_wait
        self.retry_after = retry_after

    @classmethod
    def after(cls, name: str, wait: float, holder: Holder | None) -> LockNotAcquired:
        """Return the error for an attempt that waited ``wait`` seconds without success."""
        by = f", held by {readable(holder)}" if holder else ""
        how_long = f"after a wait of {wait:g} s" if wait else "and the attempt did not wait"
        error = cls.of(name, f"is busy{by}, {how_long}")
        error.holder = holder
        return error


class LockLost(LockError):
    """The hold was over before its release: its lease ran out, or it was released by force."""


class LockUnavailable(LockError):
    """The server that keeps the locks did not answer. ``__cause__`` is the client's own error.

    ``asked`` is False if no request was sent: the server had not answered before, and is probed in
    the background until it does. ``sent`` is False if no request can have taken effect, since no
    connection for it could be opened either.
    """

    def __init__(
        self, message: str, *, name: str = "", asked: bool = True, sent: bool = True
    ) -> None:
        super().__init__(message, name=name)
        self.asked = asked
        self.sent = asked and sent


class LockMisuse(UserWarning):
    """A warning, shown during development, of a use of locks that will fail under load."""


def readable(value: object) -> str:
    """Return a name or a holder for one line of a message.

    Control characters are escaped, and so are blanks at either end, where nobody would see them. A
    text of blanks alone would be an invisible link.
    """
    text = str(value)
    shown = text.strip(BLANKS)
    if shown == text and text.isprintable():
        return text
    start = text.index(shown)
    inner = (char if char.isprintable() or char in JOINERS else _escape(char) for char in shown)
    ends = text[:start], text[start + len(shown) :]
    before, after = ("".join(map(_escape, blanks)) for blanks in ends)
    return f"{before}{''.join(inner)}{after}"


def _escape(char: str) -> str:
    return ascii(char)[1:-1] if char != " " else r"\x20"


def add_note(error: BaseException, note: LockError) -> None:
    """Add a lock error to another error that is being raised, without hiding that one."""
    if hasattr(error, "add_note"):
        error.add_note(f"{type(note).__name__}: {note}")
    elif error.__context__ is None:
        error.__context__ = note
