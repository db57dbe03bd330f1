"""States of live holds as an operator sees them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..backends.base import Hold
from ..local.hold import pause_of
from .liveness import runs

__all__ = [
    "EXCLUSIVE",
    "KINDS",
    "STATES",
    "TROUBLE",
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


def state_of(hold: Hold) -> str:
    """Return the state of a hold: ``held``, ``renewing``, ``overdue`` (past MAX_HOLD), ``silent``
    (lost contact), ``detached`` (no handle needs it, and it ends with its lease) or ``damaged``
    (its record cannot be read).

    The record says when it was granted, when its lease ends, and for how long it is renewed.
    """
    if hold.damaged:
        return "damaged"
    if hold.detached:
        return "detached"
    longest = hold.holder.renews_for
    if longest and hold.age > longest:
        return "overdue"
    if _is_silent(hold):
        return "silent"
    return "renewing" if _is_renewed(hold) else "held"


def _is_in(state: str, hold: Hold) -> bool:
    return state_of(hold) == state


def _is_orphaned(hold: Hold) -> bool:
    """Whether its process has ended, or its renewals have stopped.

    A detached hold needs no process, and the process of a damaged one is unknown.
    """
    if hold.detached or hold.damaged:
        return False
    return runs(hold.holder) is False or (_is_renewed(hold) and _is_silent(hold))


# Tests that a filter can name: the exclusive states, and conditions that may hold besides.
STATES: dict[str, Callable[[Hold], bool]] = {
    **{state: partial(_is_in, state) for state in EXCLUSIVE},
    "waited": lambda hold: hold.waiters > 0,
    "gone": lambda hold: runs(hold.holder) is False,
    "orphaned": _is_orphaned,
}


def has_ended(hold: Hold) -> bool:
    """Whether the hold needs its process and that process is known here to have ended."""
    return STATES["gone"](hold) and state_of(hold) not in ("detached", "damaged")


def urgency(hold: Hold) -> tuple[int, float]:
    """Return a sort key: first holds in trouble or without a process, then holds with waiters,
    and in each group the longest wait first.
    """
    if state_of(hold) in TROUBLE or has_ended(hold):
        return 0, -hold.longest_wait
    return 1 if hold.waiters else 2, -hold.longest_wait
