"""Criteria that select holds, for the admin pages and the commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..backends.base import Hold
from ..exceptions import readable
from .states import STATES, kind_of

__all__ = ["Criteria", "is_glob"]


def is_glob(text: str) -> bool:
    return re.search(r"[*?[]", text) is not None


def _is_searched(text: str) -> bool:
    """Whether a pattern can match a name other than its own text."""
    return is_glob(text) or "\\" in text


def _is_meant(name: str, glob: str) -> bool:
    # A name with brackets, as it is shown, means itself too.
    return name == glob or fnmatchcase(name, glob)


@dataclass(frozen=True)
class Criteria:
    """A hold must meet every criterion that is set. One of ``globs`` must match, as in
    ``fnmatchcase``.

    ``text`` is a glob, or a part of the name, ignoring case. ``host`` is a glob.
    ``older_than`` is in seconds. ``kind`` is one of ``KINDS``; ``states`` are keys of ``STATES``.
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
        """The exact names to look up, if no glob requires a search; else empty."""
        return [] if any(map(_is_searched, self.globs)) else list(self.globs)

    @property
    def by_name_alone(self) -> bool:
        return self == Criteria(globs=self.globs, text=self.text)

    def match(self, hold: Hold) -> bool:
        """Whether the hold meets all criteria except the name; for that see ``match_name``."""
        return (
            (not self.host or fnmatchcase(str(hold.holder.host), self.host))
            and self.pid in (None, hold.holder.pid)
            and (self.older_than is None or hold.age > self.older_than)
            and self.kind in ("", kind_of(hold))
            and all(STATES[state](hold) for state in self.states)
        )

    def match_name(self, name: str) -> bool:
        # A name is also found by the text that is displayed for it: "line1\\nline2".
        forms = {name, readable(name)}
        if self.globs and not any(_is_meant(form, glob) for form in forms for glob in self.globs):
            return False
        if is_glob(self.text):
            return any(fnmatchcase(form, self.text) for form in forms)
        return any(self.text.casefold() in form.casefold() for form in forms)
