"""Base of all faults, with the facts about a fault that the checker needs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tests.faults.checker import FENCE, OVERLAP
from tests.faults.sites import OneServer, Site
from tests.faults.writes import LOST_UPDATE

if TYPE_CHECKING:
    from tests.faults.scene import Scene


class Fault:
    """The base of all faults, without a fault. `once` is called again and again.

    It affects the servers of `site`, and `processes` with `threads` and `tasks` each. `injection`
    and `operation` name events within the workers.

    For the checker: `keeps_data`: two holders are never allowed. `keeps_fences`: fences never fall.
    `server_answers`: every wait is exact, and the server is never unavailable. `first_answer`: how
    long (seconds) the first request of an attempt may take, whatever its wait. `overtakings`: how
    many later attempts may overtake an attempt. `settles`: how long (seconds) its effects last
    after its end, in addition to leases and waits.
    """

    name: ClassVar[str] = "none"
    keeps_data = keeps_fences = True
    server_answers = True
    first_answer = 0.0
    overtakings = 0
    settles = 0.0

    processes, threads, tasks = 3, 3, 4
    injection = ""
    operation = ""
    greenlets = False
    pool: ClassVar[dict[str, Any]] = {}
    site: ClassVar[type[Site]] = OneServer

    @classmethod
    def missing(cls) -> str:
        """Return what this machine lacks for this fault; empty if nothing is missing."""
        return ""

    @property
    def may_cause(self) -> frozenset[str]:
        """The kinds of violations that are counted and shown, but are not errors."""
        lost = () if self.keeps_data else (OVERLAP, LOST_UPDATE)
        return frozenset((*lost, *(() if self.keeps_fences else (FENCE,))))

    def make_site(self, folder: Path) -> Site:
        """Return the servers, not started yet."""
        return self.site(folder)

    def once(self, scene: Scene) -> None:
        """Cause the fault once, and repair it."""
        time.sleep(0.05)


class ServerFault(Fault):
    """Something between the workers and their server fails."""

    server_answers = False
    first_answer = 1.0
    overtakings = 20
