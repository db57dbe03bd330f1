"""Page of the waits: a tree of names and their waiters, with the deadlocks on top."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, zip_longest

from django.contrib.admin.utils import quote
from django.utils.translation import gettext as _

from ..handler import lock_backends
from ..operations.waits import waits_of
from ..operations.waits_tree import Branch, branches, circle_in_words, left_out_of
from .references import address_of

__all__ = ["WaitsPage"]

# How many lines the page shows.
MOST_LINES = 1000


@dataclass(frozen=True)
class TreeItem:
    """An item of nested lists. ``opens``: a nested list follows. ``closes``: how many lists end
    after it.
    """

    branch: Branch
    address: str
    is_stuck: bool
    opens: bool
    closes: range


class WaitsPage:
    """The content of the page."""

    def __init__(self) -> None:
        self.waits = waits_of(lock_backends)
        self.silent = self.waits.silent
        self.several_backends = len(list(lock_backends)) > 1

    @property
    def deadlocks(self) -> list[list[str]]:
        return [circle_in_words(circle) for circle in self.waits.circles]

    @property
    def notices(self) -> list[str]:
        """Messages about what the page leaves out."""
        notices = [left_out_of(self.waits)]
        if len(self._lines) > MOST_LINES:
            text = _("These are the first %(count)d lines; “listlocks --waits” prints them all.")
            notices.append(text % {"count": MOST_LINES})
        return [notice for notice in notices if notice]

    @cached_property
    def _lines(self) -> list[Branch]:
        return list(islice(branches(self.waits), MOST_LINES + 1))

    @property
    def items(self) -> Iterator[TreeItem]:
        lines = self._lines[:MOST_LINES]
        for branch, following in zip_longest(lines, lines[1:]):
            depth = following.depth if following else 0
            yield TreeItem(
                branch,
                quote(address_of(branch.queue.alias, branch.queue.name)),
                is_stuck=not branch.is_name and self._is_stuck(branch),
                opens=depth > branch.depth,
                closes=range(max(0, branch.depth - depth)),
            )

    def _is_stuck(self, branch: Branch) -> bool:
        if branch.left_out:
            return False
        return branch.queue.waiters[branch.place or 0] in self.waits.stuck
