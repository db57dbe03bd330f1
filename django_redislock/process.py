"""Which process this is. A forked child inherits nothing of what its parent holds.

Some servers (uWSGI, unless told otherwise) fork without a word to Python; so whoever is about to
talk to a lock server asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Process", "process"]

F = TypeVar("F", bound=Callable[[], object])


class Process:
    """The running process, and what must be forgotten in a child of it."""

    def __init__(self) -> None:
        self._forgetting: list[Callable[[], object]] = []
        self.pid = os.getpid()

    def in_child(self, forget: F) -> F:
        """Call ``forget`` in a forked child, before it does anything with locks."""
        self._forgetting.append(forget)
        return forget

    def look(self) -> int:
        """The id of this process; a fork that Python has not been told of is noticed."""
        pid = os.getpid()
        if pid != self.pid:
            self._forked()
        return pid

    def _forked(self) -> None:
        self.pid = os.getpid()
        for forget in self._forgetting:
            forget()


process = Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process.look)
