"""Page of one name: its holders, its queue, and the holds of this very process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..backends.base import Hold, Waiting
from ..exceptions import readable
from ..handler import lock_backends
from ..local.hold import LocalHold
from ..local.registry import registry
from ..operations.asking import Silent
from ..operations.formatting import duration, limit_of, place_of, quoted
from ..operations.liveness import runs
from ..operations.selection import Found
from ..operations.waits import NameQueue, Party, Waits, party_of, waits_of
from .rows import Row, counting, for_whom

__all__ = ["Detail"]

# How many names that have waiters are examined per backend.
LOOK_AT = 500

# How many waiters of the queue are shown. Its length is always shown.
MOST_WAITING = 100


@dataclass(frozen=True)
class Elsewhere:
    """The other names that a thread or task holds or waits for, among those that have waiters."""

    holds: Sequence[str] = ()
    waits_for: Sequence[str] = ()
    together: Sequence[str] = ()

    @classmethod
    def of(cls, waits: Waits, alias: str, one: Hold | Waiting, name: str) -> Elsewhere:
        party = party_of(one)
        here = (alias, name)
        held = [q for q in waits.held_by.get(party, []) if (q.alias, q.name) != here]
        waited = [q for q, _place in waits.waited_by.get(party, []) if (q.alias, q.name) != here]
        together = [q for q in held if one.holder.group and _group(q, party) == one.holder.group]
        return cls(
            holds=[readable(queue.name) for queue in held if queue not in together],
            waits_for=[readable(queue.name) for queue in waited],
            together=[readable(queue.name) for queue in together],
        )

    @property
    def also_holds(self) -> str:
        names = ", ".join(map(quoted, (*self.together, *self.holds)))
        return _("also holds %(names)s") % {"names": names} if names else ""


def _group(queue: NameQueue, party: Party) -> str:
    return queue.holds[queue.holders.index(party)].holder.group


class Place:
    """A waiter's place in the queue, as text."""

    def __init__(self, number: int, waiting: Waiting, also_holds: str) -> None:
        holder = waiting.holder
        self.number = number
        self.what = readable(holder.what)
        self.for_whom = for_whom(readable(holder.label))
        self.place = place_of(holder)
        self.limit = limit_of(waiting.limit)
        self.since = localtime(waiting.since)
        self.waiting_for = counting(waiting.age)
        self.runs = runs(holder)
        self.also_holds = also_holds


class Own:
    """A hold of this very process, from its local state."""

    def __init__(self, hold: LocalHold) -> None:
        remaining = hold.remaining()
        due = max(0.0, remaining - (hold.ends - hold.due))
        needs = [need for need in list(hold.needs) if need.handle is not None]
        self.token = f"{hold.token[:8]}…"
        self.handles = sum(not need.is_transaction for need in needs)
        self.transactions = sum(need.is_transaction for need in needs)
        self.remaining = duration(remaining)
        self.renewed_in = duration(due)
        self.renews = due < remaining


@dataclass(frozen=True)
class Detail:
    """Everything that is known about one name.

    ``waiting``: the length of the queue. ``silent``: the backends that did not say what its holders
    and waiters do elsewhere.
    """

    rows: Sequence[tuple[Row, Elsewhere]]
    queue: Sequence[Place]
    waiting: int
    own: Sequence[Own]
    silent: Sequence[Silent] = ()

    @classmethod
    def of(cls, alias: str, name: str) -> Detail:
        """Raises ``LockUnavailable`` or ``InvalidLockBackend``."""
        backend = lock_backends[alias]
        holds, waiting = backend.inspect(name)
        waits = waits_of([alias, *lock_backends], LOOK_AT)
        own = [hold for hold in list(registry.holds) if hold.lock_id == (backend.place, name)]
        queue = [
            Place(number, one, Elsewhere.of(waits, alias, one, name).also_holds)
            for number, one in enumerate(waiting[:MOST_WAITING], start=1)
        ]
        rows = [Row(Found(alias, hold)) for hold in holds]
        return cls(
            rows=[(row, Elsewhere.of(waits, alias, row.hold, name)) for row in rows],
            queue=queue,
            waiting=len(waiting),
            own=[Own(hold) for hold in own],
            silent=waits.silent,
        )

    @property
    def left_out(self) -> int:
        return self.waiting - len(self.queue)
