"""Scheduler of parallel runs: one test at a time, and none that waits for a crashed process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest


class OneByOne(LoadScopeScheduling):
    """Hands out one test at a time, so that no process has many left at the end.

    The tests in each of the paths `together` are run by one process.
    """

    def __init__(self, config: pytest.Config, log: Any, together: tuple[str, ...]) -> None:
        super().__init__(config, log)
        self._together = together

    def _split_scope(self, nodeid: str) -> str:
        return next((path for path in self._together if nodeid.startswith(path)), nodeid)

    def remove_node(self, node: Any) -> str | None:
        """Return the test that crashed its process. It counts as failed, and is not run again.

        Only units with tests that have not been run are handed out again. An empty one would make a
        process wait for ever, since it begins its last test when it gets the next one.
        """
        units = self.assigned_work[node]
        left = [(unit, test) for unit in units.values() for test in unit if not unit[test]]
        if not left:
            super().remove_node(node)
            return None
        unit, crashed = left[0]
        unit[crashed] = True
        self.assigned_work[node] = {
            scope: unit for scope, unit in units.items() if not all(unit.values())
        }
        super().remove_node(node)
        return crashed
