"""Changes of the live holds from one look to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ..clock import monotonic
from ..operations.formatting import Line
from ..operations.states import Found

__all__ = ["CHANGED", "NEW", "SAME", "Changes"]

NEW, CHANGED, SAME = "+", "*", " "


# State and number of waiters, by alias, name and token.
Seen: TypeAlias = "dict[tuple[str, str, str], tuple[str, int]]"


class Changes:
    """Remembers the last look. A hold is known by name and token: a hand-over makes a new one."""

    def __init__(self) -> None:
        self._before: Seen | None = None
        self._looked_at = 0.0

    def marks(self, found: Sequence[Found], began: float) -> list[str]:
        """A mark for each, of a look that began at this time (monotonic); none at the first."""
        now = {_identity(one): _shown(one) for one in found}
        before, since = self._before, monotonic() - self._looked_at
        self._before, self._looked_at = now, began
        if before is None:
            return [SAME] * len(found)
        return [self._mark(one, before, since) for one in found]

    def _mark(self, one: Found, before: Seen, since: float) -> str:
        known = before.get(_identity(one))
        if known is None:
            # An older hold has only moved up among those that are shown.
            return NEW if one.hold.age <= since else SAME
        return SAME if known == _shown(one) else CHANGED


def _identity(one: Found) -> tuple[str, str, str]:
    return one.alias, one.hold.name, one.hold.token


def _shown(one: Found) -> tuple[str, int]:
    line = Line.of(one)
    return line.ended or line.state, line.waiters
