"""Replies of a server to the commands of one exchange."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["Exchanger", "Replies"]


class Replies(NamedTuple):
    """One reply for each command, in order. Error replies are exceptions among them.

    ``again`` is set if the commands were sent a second time after a reset. The first attempt may
    already have taken effect.
    """

    replies: list[Any]
    again: bool


class Exchanger(Protocol):
    """A node, or several nodes that act as one."""

    def exchange(
        self, commands: Sequence[bytes], within: float | None = None, *, urgent: bool = False
    ) -> Replies: ...

    def node_of(self, bucket: int) -> Hashable: ...
