"""A live hold as an operator meets it: where it is kept, and in which state it seems to be."""

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

# A hold is in one of these.
EXCLUSIVE = ("held", "renewing", "overdue", "silent", "detached", "damaged")

# Somebody should look at these.
TROUBLE = ("overdue", "silent", "damaged")

# How much later (seconds) than its grant a lease must have begun anew to count as renewed.
RENEWED = 0.1


@dataclass(frozen=True)
class Found:
    """A live hold, and the alias of the backend that keeps it."""

    alias: str
    hold: Hold


def kind_of(hold: Hold) -> str:
    """One of ``KINDS``; empty where it cannot be read."""
    if hold.damaged:
        return ""
    if hold.shared:
        return "shared"
    return "mutex" if hold.limit == 1 else "semaphore"


KINDS = ("mutex", "semaphore", "shared")


def _is_renewed(hold: Hold) -> bool:
    """Whether its lease has begun anew since the grant."""
    return hold.age - (hold.lease - hold.remaining) > RENEWED


def _is_silent(hold: Hold) -> bool:
    """Whether two renewals are overdue, of which a holder may miss two.

    After a hand-over a lease is short until the new holder has answered, so its age counts too.
    """
    if hold.holder.renews_for == 0:
        return False
    silence = min(hold.age, hold.lease - hold.remaining)
    return silence > 2 * pause_of(hold.lease)


def state_of(found: Found) -> str:
    """One of ``held``, ``renewing``, ``overdue`` (past MAX_HOLD) and ``silent`` (lost contact);
    ``detached``: no handle needs it, and it lasts until its lease is over; ``damaged``: what is
    stored cannot be read.

    What is stored: when it was granted, when its lease ends, and for how long it is renewed.
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
    """Its process has ended, or it was renewed before and is not any more.

    What is detached needs no process, and of what is damaged nobody knows which it was.
    """
    hold = found.hold
    if hold.detached or hold.damaged:
        return False
    return runs(hold.holder) is False or (_is_renewed(hold) and _is_silent(hold))


# What can be asked for by name: in which of these states a hold is, and what may be true besides.
STATES: dict[str, Callable[[Found], bool]] = {
    **{state: partial(_is_in, state) for state in EXCLUSIVE},
    "waited": lambda found: found.hold.waiters > 0,
    "gone": lambda found: runs(found.hold.holder) is False,
    "orphaned": _is_orphaned,
}


def has_ended(found: Found) -> bool:
    """Whether the process has ended of a hold that needs it, as far as this host can tell."""
    return STATES["gone"](found) and state_of(found) not in ("detached", "damaged")


def urgency(found: Found) -> tuple[int, float]:
    """A key by which what needs attention comes first: what is in trouble or has no process any
    more, and then what is waited for, the longest wait first.
    """
    if state_of(found) in TROUBLE or has_ended(found):
        return 0, -found.hold.longest_wait
    return 1 if found.hold.waiters else 2, -found.hold.longest_wait
