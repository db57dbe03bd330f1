"""Changes in the live holds between two listings of ``listlocks --watch``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ..clock import monotonic
from ..operations.formatting import Line
from ..operations.selection import Found

__all__ = ["CHANGED", "NEW", "SAME", "Changes"]

NEW, CHANGED, SAME = "+", "*", " "


# State and number of waiters, by alias, name and token.
Seen: TypeAlias = "dict[tuple[str, str, str], tuple[str, int]]"


class Changes:
    """Compares each listing with the previous one. A hold is identified by its name and token, so
    a hand-over counts as a new hold.
    """

    def __init__(self) -> None:
        self._before: Seen | None = None
        self._looked_at = 0.0

    def marks(self, found: Sequence[Found], began: float) -> list[str]:
        """Return a mark for each hold of a listing that ``began`` at this time (monotonic). The
        first listing has no marks.
        """
        now = {_identity(one): _shown(one) for one in found}
        before, since = self._before, monotonic() - self._looked_at
        self._before, self._looked_at = now, began
        if before is None:
            return [SAME] * len(found)
        return [self._mark(one, before, since) for one in found]

    def _mark(self, one: Found, before: Seen, since: float) -> str:
        known = before.get(_identity(one))
        if known is None:
            # An older hold is not new: it only moved into the part that is shown.
            return NEW if one.hold.age <= since else SAME
        return SAME if known == _shown(one) else CHANGED


def _identity(one: Found) -> tuple[str, str, str]:
    return one.alias, one.hold.name, one.hold.token


def _shown(one: Found) -> tuple[str, int]:
    line = Line(one)
    return line.ended or line.state, line.waiters
