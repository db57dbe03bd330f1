"""What a hold must be like to be chosen: for the admin page and the commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase

from ..backends.base import Hold
from .presence import runs

__all__ = ["KINDS", "STATES", "Criteria", "age", "is_glob", "kind_of"]


def is_glob(text: str) -> bool:
    return re.search(r"[*?[]", text) is not None


def age(hold: Hold) -> float:
    """For how many seconds it has been held; a server's clock that is ahead of ours makes it 0."""
    return max(0.0, (datetime.now(timezone.utc) - hold.since).total_seconds())


def kind_of(hold: Hold) -> str:
    if hold.shared:
        return "shared"
    return "mutex" if hold.limit == 1 else "semaphore"


KINDS = ("mutex", "semaphore", "shared")

# A renewal comes when a third of the lease has passed, at the latest, and two may fail.
STATES: dict[str, Callable[[Hold], bool]] = {
    "waited": lambda hold: hold.waiters > 0,
    "ending": lambda hold: hold.remaining < hold.lease / 3,
    "gone": lambda hold: runs(hold.holder) is False,
}


@dataclass(frozen=True)
class Criteria:
    """All that is set must be so. ``globs`` are those of ``fnmatchcase``, and one must match.

    ``text`` is a part of the name in any case of letters, or a glob. ``host`` is a glob.
    ``older_than`` is in seconds. ``kind`` is one of ``KINDS``, ``states`` are of ``STATES``.
    """

    globs: tuple[str, ...] = ()
    text: str = ""
    host: str = ""
    pid: int | None = None
    older_than: float | None = None
    kind: str = ""
    states: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Criteria()

    @property
    def names(self) -> list[str]:
        """Names that need not be searched for, since nothing else is asked for by name."""
        return [] if any(map(is_glob, self.globs)) else list(self.globs)

    def match(self, hold: Hold) -> bool:
        return (
            self._matches_name(hold.name)
            and (not self.host or fnmatchcase(str(hold.holder.host), self.host))
            and self.pid in (None, hold.holder.pid)
            and (self.older_than is None or age(hold) > self.older_than)
            and self.kind in ("", kind_of(hold))
            and all(STATES[state](hold) for state in self.states)
        )

    def _matches_name(self, name: str) -> bool:
        if self.globs and not any(fnmatchcase(name, glob) for glob in self.globs):
            return False
        if is_glob(self.text):
            return fnmatchcase(name, self.text)
        return self.text.casefold() in name.casefold()
