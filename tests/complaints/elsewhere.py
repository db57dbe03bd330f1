"""Jobs of another process."""

from __future__ import annotations

import time
from typing import Any

from django_redislock import lock
from tests.support.places import Place
from tests.support.processes import stay


def hold(place: Place, name: str, holds: Any, lease: float) -> None:
    """Hold a lock until the process is killed, and put True into a queue first."""
    place.use()
    with lock(name, lease=lease, label="nightly"):
        holds.put(True)
        stay()


def run_report(place: Place, name: str, late: float) -> str:
    """Run the job of a server whose clock is `late` seconds behind."""
    from django_redislock import locked

    place.use()

    @locked(name, wait=0, on_busy="skip", default="skipped", min_hold=60)
    def report() -> str:
        return "sent"

    time.sleep(late)
    return report()
