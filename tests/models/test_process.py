"""Model of a process: every schedule keeps the invariants, and each guard is needed."""

from __future__ import annotations

import pytest

from .scenarios import SCENARIOS
from .schedules import explore
from .surroundings import GUARDS

# For each guard, the program that breaks an invariant without it.
NEEDED = {
    "over first, then still registered": "one_block",
    "a release that has not begun is written down": "one_block",
    "a second interruption is answered like the first": "one_block",
    "an attempt is written down before it sends": "one_block",
    "a join writes its need before it looks": "joined_while_swept",
    "a hold is needed before others see it": "one_block",
    "each leaver has a mark of its own": "joined_beside_sweep",
    "a release marks before it looks for needs": "joined_while_swept",
    "one end for each hold": "released_by_force",
    "a shorter lease is believed before it is sent": "shortened",
    "extensions side by side only shorten belief": "shortened",
    "our own thread alone finishes attempts": "joined_beside_sweep",
    "a join is written down, too": "joined_while_swept",
    "the sweep looks at needs, then at attempts": "one_block",
    "the sweep waits for other calls": "joined_while_swept",
    "the sweep takes off the mark of what is over": "joined_beside_sweep",
    "a mark stops joins and not belief": "joined_while_swept",
    "only an attempt that is over is swept": "one_block",
    "the sweep leaves a hold that others need": "joined_while_swept",
    "the sweep completes the release of an interrupted end": "one_block",
    "a cancel is remembered for requests that come late": "one_block",
}

# These have the most schedules.
LONG = {"joined_beside_sweep", "again", "released_by_both", "two_owners", "joined_while_released"}


@pytest.mark.timeout(600)  # it only computes
@pytest.mark.parametrize(
    "scenario",
    [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in SCENARIOS],
)
def test_no_schedule_breaks_a_promise(scenario: str) -> None:
    explored = explore(lambda: SCENARIOS[scenario](""), limit=60_000)

    assert not explored.violation, "\n".join([*explored.trace, explored.violation])
    assert explored.states > 100  # otherwise the programs have not run


@pytest.mark.parametrize("guard", NEEDED)
def test_each_guard_is_needed(guard: str) -> None:
    explored = explore(lambda: SCENARIOS[NEEDED[guard]](guard), limit=20_000)

    assert explored.violation
    assert explored.trace


def test_every_guard_is_tried() -> None:
    assert sorted(NEEDED) == sorted(GUARDS)
