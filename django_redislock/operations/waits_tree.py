"""Tree of the waits: a name, its waiters, and below each the names it holds that have waiters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from django.utils.translation import gettext as _

from ..exceptions import readable
from .formatting import duration, quoted, who
from .waits import Circle, NameQueue, Waits

__all__ = ["Branch", "branches", "circle_in_words", "left_out_of"]

# How many waiters of one queue are shown.
MOST_WAITERS = 100


@dataclass(frozen=True)
class Branch:
    """A line of the tree: a name, or the waiter at this ``place`` in its queue.

    ``again``: the name is shown above already, with its branches. ``left_out``: the line stands
    for this many waiters that are not shown.
    """

    depth: int
    queue: NameQueue
    place: int | None = None
    again: bool = False
    left_out: int = 0

    @property
    def is_name(self) -> bool:
        return self.place is None

    @property
    def name(self) -> str:
        return readable(self.queue.name)

    @property
    def holders(self) -> str:
        """The holders of the name, and how long each has held it."""
        if not self.queue.holds:
            return _("not held at the moment")
        holders = [
            _("%(who)s, for %(duration)s")
            % {"who": who(hold.holder), "duration": duration(hold.age)}
            for hold in self.queue.holds
        ]
        return _("held by %(holders)s") % {"holders": "; ".join(holders)}

    @property
    def waiter(self) -> str:
        """The waiter, and how long it has waited."""
        if self.left_out:
            return _("and %(left)s more") % {"left": self.left_out}
        waiting = self.queue.waiting[self.place or 0]
        return _("%(who)s, waiting for %(duration)s") % {
            "who": who(waiting.holder),
            "duration": duration(waiting.age),
        }

    @property
    def in_words(self) -> str:
        if not self.is_name:
            return self.waiter
        text = f"{self.name}: {self.holders}"
        return f"{text} ({_('see above')})" if self.again else text


def circle_in_words(circle: Circle) -> list[str]:
    return [
        _("%(who)s waits for %(name)s")
        % {"who": who(link.waiter), "name": quoted(readable(link.queue.name))}
        for link in circle
    ]


def left_out_of(waits: Waits) -> str:
    """Return a sentence about the names that were not examined; empty if there are none."""
    if waits.looked_at >= waits.total:
        return ""
    return _("Only %(shown)d of the %(total)d names with waiters were examined.") % {
        "shown": waits.looked_at,
        "total": waits.total,
    }


def branches(waits: Waits) -> Iterator[Branch]:
    """Yield all lines: the circles first, then the trees under holders that are not waiting."""
    seen: set[NameQueue] = set()
    # A name that no root reaches hangs on a circle, or on a waiter that is left out.
    starts = chain((circle[0].queue for circle in waits.circles), waits.roots, waits.queues)
    for start in starts:
        if start not in seen:
            yield from _branches(waits, start, seen)


def _branches(waits: Waits, start: NameQueue, seen: set[NameQueue]) -> Iterator[Branch]:
    # Not recursive: a chain may be longer than Python's stack.
    coming = [Branch(0, start)]
    while coming:
        branch = coming.pop()
        queue, below = branch.queue, branch.depth + 1
        if branch.place is not None:
            yield branch
            if not branch.left_out:
                held = waits.held_by.get(queue.waiters[branch.place], [])
                coming += [Branch(below, one) for one in reversed(held)]
            continue
        yield branch if queue not in seen else Branch(branch.depth, queue, again=True)
        if queue in seen:
            continue
        seen.add(queue)
        shown = min(len(queue.waiting), MOST_WAITERS)
        if left := len(queue.waiting) - shown:
            coming.append(Branch(below, queue, shown, left_out=left))
        coming += [Branch(below, queue, place) for place in reversed(range(shown))]
