"""States of live holds as an operator sees them, and the backend that each hold belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..backends.base import Hold
from ..local.hold import pause_of
from .liveness import runs

__all__ = [
    "EXCLUSIVE",
    "KINDS",
    "STATES",
    "TROUBLE",
    "Found",
    "has_ended",
    "kind_of",
    "state_of",
    "urgency",
]

# Each hold is in exactly one of these states.
EXCLUSIVE = ("held", "renewing", "overdue", "silent", "detached", "damaged")

# States that need an operator's attention.
TROUBLE = ("overdue", "silent", "damaged")

# A lease counts as renewed if it restarted at least this long (seconds) after its grant.
RENEWED = 0.1


@dataclass(frozen=True)
class Found:
    """A live hold, and the alias of the backend that keeps it."""

    alias: str
    hold: Hold


def kind_of(hold: Hold) -> str:
    """Return one of ``KINDS``; empty if the hold is damaged."""
    if hold.damaged:
        return ""
    if hold.shared:
        return "shared"
    return "mutex" if hold.limit == 1 else "semaphore"


KINDS = ("mutex", "semaphore", "shared")


def _age_of_lease(hold: Hold) -> float:
    return (hold.term or hold.lease) - hold.remaining


def _is_renewed(hold: Hold) -> bool:
    """Whether the lease has been restarted since the grant."""
    return hold.age - _age_of_lease(hold) > RENEWED


def _is_silent(hold: Hold) -> bool:
    """Whether the holder has missed two renewals in a row.

    A backend may not know that the lease is short, as it is after a hand-over until the new holder
    has answered, so the age of the hold counts too.
    """
    if hold.holder.renews_for == 0:
        return False
    return min(hold.age, _age_of_lease(hold)) > 2 * pause_of(hold.lease)


def state_of(found: Found) -> str:
    """Return the state of a hold: ``held``, ``renewing``, ``overdue`` (past MAX_HOLD), ``silent``
    (lost contact), ``detached`` (no handle needs it, and it ends with its lease) or ``damaged``
    (its record cannot be read).

    The record says when it was granted, when its lease ends, and for how long it is renewed.
    """
    if found.hold.damaged:
        return "damaged"
    if found.hold.detached:
        return "detached"
    longest = found.hold.holder.renews_for
    if longest and found.hold.age > longest:
        return "overdue"
    if _is_silent(found.hold):
        return "silent"
    return "renewing" if _is_renewed(found.hold) else "held"


def _is_in(state: str, found: Found) -> bool:
    return state_of(found) == state


def _is_orphaned(found: Found) -> bool:
    """Whether its process has ended, or its renewals have stopped.

    A detached hold needs no process, and the process of a damaged one is unknown.
    """
    hold = found.hold
    if hold.detached or hold.damaged:
        return False
    return runs(hold.holder) is False or (_is_renewed(hold) and _is_silent(hold))


# Tests that a filter can name: the exclusive states, and conditions that may hold besides.
STATES: dict[str, Callable[[Found], bool]] = {
    **{state: partial(_is_in, state) for state in EXCLUSIVE},
    "waited": lambda found: found.hold.waiters > 0,
    "gone": lambda found: runs(found.hold.holder) is False,
    "orphaned": _is_orphaned,
}


def has_ended(found: Found) -> bool:
    """Whether the hold needs its process and that process is known here to have ended."""
    return STATES["gone"](found) and state_of(found) not in ("detached", "damaged")


def urgency(found: Found) -> tuple[int, float]:
    """Return a sort key: first holds in trouble or without a process, then holds with waiters,
    and in each group the longest wait first.
    """
    if state_of(found) in TROUBLE or has_ended(found):
        return 0, -found.hold.longest_wait
    return 1 if found.hold.waiters else 2, -found.hold.longest_wait
