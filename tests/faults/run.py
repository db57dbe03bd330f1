"""One run of a fault: workers work while it happens, and their history is judged."""

from __future__ import annotations

import time

from tests.faults import workload
from tests.faults.catalogue import heal
from tests.faults.checker import DOCUMENTED, OVERLAP, Rules, Violation, violations
from tests.faults.faults import Fault
from tests.faults.history import now
from tests.faults.report import LEFT, Report, grants_of
from tests.faults.scene import Scene

EXACT = 0.05  # seconds
# How long (seconds) the workers work on when the fault is over.
RECOVERY = 0.5


def run(fault: Fault, seconds: float, seed: int, exact: float = EXACT) -> Report:
    """Let a fault happen for this long, and report what came of it."""
    with Scene(fault, seed) as scene:
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            fault.once(scene)
        heal(scene)
        time.sleep(RECOVERY)
        stopped = now()
        scene.tell("stop", "idle")
        lasted = time.monotonic() - began
        # All leases and waits that there are have ended then.
        time.sleep(workload.LONGEST + 1)
        left = [Violation(LEFT, text) for text in scene.left_behind(workload.NAMES)]
        scene.tell("check", "checked")
        scene.end()
        events = scene.history.events()
    found = violations(events, rules_of(fault, exact)) + left
    grants, longest_gap = grants_of(events, stopped)
    allowed = frozenset() if fault.keeps_data else frozenset({OVERLAP})
    return Report(fault.name, seed, lasted, grants, longest_gap, found, allowed)


def rules_of(fault: Fault, exact: float) -> Rules:
    """What is demanded while this fault happens."""
    unexpected = {"LockUnavailable"} if fault.server_answers else set()
    return Rules(
        answered=True,
        overtakings=fault.overtakings,
        exact=exact,
        first_answer=fault.first_answer,
        documented=DOCUMENTED - unexpected,
        renewal=fault.server_answers,
    )
