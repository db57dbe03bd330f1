"""Base of all faults, and what the judge has to know of one."""

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
    """Nothing happens. The base of all faults; `once` is called again and again.

    What it happens to: `site`, the servers; `processes` with `threads` and `tasks` each.
    `injection` and `operation` name what happens within the workers.

    What the judge is told: `keeps_data`: two holders are never allowed. `keeps_fences`: fences
    never fall. `server_answers`: every wait is exact by itself, and nothing is ever unavailable.
    `first_answer`: how long (seconds) the first question of an attempt may take whatever its wait
    is. `overtakings`: how many later attempts an attempt may let pass. `settles`: how long
    (seconds) it is felt after it is over, besides leases and waits.
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
        """Say what this machine lacks for it, or nothing."""
        return ""

    @property
    def may_cause(self) -> frozenset[str]:
        """Kinds of violations that are counted and shown, and are not wrong."""
        lost = () if self.keeps_data else (OVERLAP, LOST_UPDATE)
        return frozenset((*lost, *(() if self.keeps_fences else (FENCE,))))

    def make_site(self, folder: Path) -> Site:
        """Return the servers, which are not started yet."""
        return self.site(folder)

    def once(self, scene: Scene) -> None:
        """Let it happen once, and put it right again."""
        time.sleep(0.05)


class ServerFault(Fault):
    """Something between the workers and their server fails."""

    server_answers = False
    first_answer = 1.0
    overtakings = 20
