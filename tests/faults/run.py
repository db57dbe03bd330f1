"""One run of a fault: workers work while it happens, and then their history is checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.faults.availability import longest_unavailability
from tests.faults.checker import DOCUMENTED, Rules, Violation, violations
from tests.faults.history import TOGETHER, Event, now
from tests.faults.report import LEFT, Report
from tests.faults.scene import Scene
from tests.faults.workers import workload
from tests.faults.writes import STALE, lost_updates, stale_writes

if TYPE_CHECKING:
    from tests.faults.causes.fault import Fault

EXACT = 0.05  # seconds
# How long (seconds) the workers continue after the fault has ended.
RECOVERY = 0.5


def run(fault: Fault, seconds: float, seed: int, exact: float = EXACT) -> Report:
    """Cause a fault for this long, and report the results."""
    with Scene(fault, seed) as scene:
        servers = scene.servers()
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            fault.once(scene)
        scene.site.heal()
        time.sleep(RECOVERY)
        stopped = now()
        scene.signal_workers("stop", "idle")
        lasted = time.monotonic() - began
        # By then, all leases and waits have ended.
        time.sleep(workload.LONGEST + 1 + fault.settles)
        left = [Violation(LEFT, text) for text in scene.left_behind(workload.NAMES)]
        scene.signal_workers("check", "checked")
        scene.end()
        events = scene.history.events()
        found = [*violations(events, rules_of(fault, exact)), *left, *_of_rows(scene, events)]
    return Report(
        fault.name,
        seed,
        lasted,
        grants=sum(_is_grant(event) for event in events),
        unavailable=longest_unavailability(events, stopped),
        found=found,
        servers=servers,
        may_cause=fault.may_cause,
    )


def rules_of(fault: Fault, exact: float) -> Rules:
    """Return the requirements for a history with this fault."""
    unexpected = {"LockUnavailable"} if fault.server_answers else set()
    return Rules(
        answered=True,
        # Queues are lost together with the data.
        overtakings=fault.overtakings if fault.keeps_data else None,
        exact=exact,
        first_answer=fault.first_answer,
        documented=DOCUMENTED - unexpected,
        renewal=fault.server_answers and fault.keeps_data,
        exclusive=fault.keeps_data,
    )


def _of_rows(scene: Scene, events: list[Event]) -> Iterator[Violation]:
    writes = scene.database.writes()
    for text in stale_writes(writes, workload.FENCED):
        yield Violation(STALE, text)
    for kind, text in lost_updates(writes, (*workload.UNFENCED, *workload.COMMITTED), events):
        yield Violation(kind, text)


def _is_grant(event: Event) -> bool:
    # Several names are granted one by one, but also recorded together.
    return event.kind == "acquired" and TOGETHER not in event.name
