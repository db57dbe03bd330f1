"""Replies of a server to the commands of one exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["Exchanger", "Replies"]


class Replies(NamedTuple):
    """One reply for each command, in order; an error reply stands in its place.

    ``again`` says that the commands were sent a second time after a reset, so that the first time
    may have done their work already.
    """

    replies: list[Any]
    again: bool


class Exchanger(Protocol):
    """A node, or several that stand for one."""

    def exchange(
        self, commands: Sequence[bytes], within: float | None = None, *, urgent: bool = False
    ) -> Replies: ...
