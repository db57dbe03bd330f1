"""Model of the lock protocol: no state breaks an invariant, and each guard is needed."""

from __future__ import annotations

from typing import Any

import pytest

from .explorer import Exploration, explore
from .protocol.model import Model
from .protocol.terms import FAULTS, GUARDS, TWO_IN_ONE_PROCESS, Terms

LOSSES = ("lost", "slow", "twice")
PAIR = Terms(clients=2)
EXTENDING = Terms(clients=1, extensions=(1, 3))

CONFIGURATIONS = {
    "a pair": PAIR,
    "a pair, two names": PAIR._replace(names=2),
    "a pair in one process": PAIR._replace(processes=(0, 0), kinds=("lost", "crash"), faults=1),
    "one that extends, a fault": EXTENDING._replace(kinds=FAULTS, faults=1),
    "three, short leases and waits": Terms(lease=1, wait=1),
}
LARGE = {
    "a pair, each fault, short leases": PAIR._replace(kinds=FAULTS, faults=1, lease=1),
    "a pair that extends once": PAIR._replace(extensions=(1,)),
    "a pair, each fault": PAIR._replace(kinds=FAULTS, faults=1),
    "a pair that extends": PAIR._replace(extensions=(1, 3)),
    "three": Terms(),
    "three with limits": Terms(limits=(1, 2, 2)),
    "three, two names, both ways": Terms(names=2, lease=1, wait=1),
    "three, a process ends or freezes": Terms(wait=1, kinds=("crash", "pause"), faults=1),
    "a pair that extends, messages fail": PAIR._replace(kinds=LOSSES, faults=1, extensions=(1,)),
    "a pair, two attempts": PAIR._replace(attempts=2),
    "one that extends, three faults": EXTENDING._replace(kinds=FAULTS, faults=3),
}


def fault(kind: str, **changes: Any) -> Terms:
    return PAIR._replace(kinds=(kind,), faults=1, **changes)


# The configuration in which the loss of each guard shows soonest. Where another guard prevents the
# same fault, it is taken out, too; the last test shows that its loss alone does no harm.
KEPT = "a turn of a present hold is kept"
NEEDED: dict[str, tuple[Terms, str]] = {
    "room is counted before a grant": (PAIR, ""),
    "the lowest limit of all holders counts": (PAIR._replace(limits=(2, 1)), ""),
    "new claims queue behind waiters": (
        Terms(limits=(2, 1, 2), lease=1, wait=1, ways=("wait", "once")), ""
    ),
    "a claim that asks again keeps its position": (Terms(ways=("wait",)), ""),
    "an own hold is found again": (PAIR, ""),
    "an acquire never shortens the own hold": (
        EXTENDING._replace(kinds=LOSSES, faults=1), ""
    ),
    "expired holds are dropped before a grant": (PAIR, ""),
    "a claim whose wait is over is passed over": (PAIR, ""),
    "a silent waiter is passed over": (fault("crash"), ""),
    "a hand-over holds for the grant lease only": (fault("pause"), ""),
    "waiters of a silent process queue behind others": (TWO_IN_ONE_PROCESS, ""),
    "release compares the token": (fault("lost"), ""),
    "release hands over": (PAIR, ""),
    "extend compares the token": (fault("slow"), ""),
    "extend refuses what has expired": (fault("slow"), ""),
    "renewal never shortens a lease": (EXTENDING, ""),
    "cancel ends the hold": (fault("interrupt"), ""),
    "cancel leaves the queue": (fault("slow"), ""),
    "cancel hands over": (fault("lost"), ""),
    "cancel marks late claims": (fault("slow"), ""),
    "giving a turn back spares an answered hold": (fault("slow", ways=("wait",), lease=1), KEPT),
    "an answer is noted in the record": (fault("slow", ways=("wait",), lease=1), KEPT),
    "force-release compares the token": (fault("force"), ""),
    "force-release hands over": (fault("force"), ""),
    "fences exceed the counter": (PAIR, ""),
    "fences exceed the clock": (fault("flush"), ""),
    "a lease counts from before the request": (fault("slow"), ""),
    "a turn ends when the server says": (fault("slow"), ""),
    "a turn holds no longer than the grant lease": (fault("jump"), ""),
    KEPT: (fault("twice"), ""),
    "a waiter looks again by itself": (fault("crash", lease=1, wait=3), ""),
    "release stops believing first": (PAIR, ""),
    "a shorter lease is believed at once": (EXTENDING, ""),
    "a renewal does not undo a later extension": (EXTENDING, ""),
    "a renewal during an extension is not believed": (EXTENDING, ""),
    "a lease that may become shorter is not renewed": (
        EXTENDING._replace(kinds=LOSSES, faults=1), ""
    ),
    "an attempt that went unanswered ends with a mark": (fault("slow"), ""),
}  # fmt: skip


def explored(terms: Terms) -> Exploration:
    found = explore(Model(terms))
    print(found)  # noqa: T201 - the size of the search, or the trace of a failure
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_reachable_state_breaks_an_invariant(name: str) -> None:
    found = explored(CONFIGURATIONS[name])
    assert not found.violation, found
    assert found.states > 1000


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", LARGE)
def test_no_reachable_state_of_large_configurations_breaks_an_invariant(name: str) -> None:
    found = explored(LARGE[name])
    assert not found.violation, found


def test_each_guard_has_its_mutation() -> None:
    assert list(NEEDED) == list(GUARDS)


@pytest.mark.parametrize("guard", GUARDS)
def test_each_guard_is_needed(guard: str) -> None:
    terms, beside = NEEDED[guard]
    found = explored(terms._replace(without=frozenset({guard, beside} - {""})))
    assert found.violation
    assert len(found.trace) > 1


def test_the_other_guard_alone_is_not_needed() -> None:
    for terms, beside in {needed for needed in NEEDED.values() if needed[1]}:
        assert not explored(terms._replace(without=frozenset({beside}))).violation
