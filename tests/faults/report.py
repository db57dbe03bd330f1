"""Report of a run: its figures, its errors, and the table of many runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from tests.faults.checker import ERROR, FENCE, INEXACT, OVERLAP, STARVED, Violation
from tests.faults.writes import EXCUSED, LOST_UPDATE, STALE

LEFT = "left"
LONGEST = 4000  # characters of one example, which may hold the stacks of all threads
COLUMNS = {
    OVERLAP: "overlaps",
    FENCE: "fence regressions",
    STALE: "stale writes accepted",
    LOST_UPDATE: "unfenced updates lost",
    LEFT: "holds left",
    STARVED: "starved",
    INEXACT: "inexact waits",
    ERROR: "undocumented errors",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of one run of a fault."""

    fault: str
    seed: int
    seconds: float
    grants: int
    unavailable: float  # seconds, the longest time for which a name was wanted but not held
    found: list[Violation]
    servers: str = ""
    may_cause: frozenset[str] = frozenset()  # kinds that are counted but are not errors

    @property
    def counts(self) -> Counter[str]:
        """How many violations of each kind there are."""
        return Counter(violation.kind for violation in self.found)

    @property
    def wrong(self) -> list[Violation]:
        """The violations that are errors."""
        harmless = {*self.may_cause, EXCUSED}
        return [violation for violation in self.found if violation.kind not in harmless]

    def examples(self, number: int = 3) -> list[str]:
        """Return the first violations of each kind."""
        shown = []
        for kind, column in COLUMNS.items():
            texts = [violation.text for violation in self.wrong if violation.kind == kind]
            shown += [f"{self.fault}: {column}: {text[:LONGEST]}" for text in texts[:number]]
        return shown

    def cells(self) -> list[str]:
        """Return a row of the table. Violations that are not errors are in brackets."""
        figures = [f"{self.seconds:.0f}", f"{self.grants:,}"]
        counted = [self._count(kind) for kind in COLUMNS]
        return [self.fault, *figures, *counted, f"{self.unavailable:.2f}", str(self.seed)]

    def _count(self, kind: str) -> str:
        counts = self.counts
        excused = counts[EXCUSED] if kind == LOST_UPDATE else 0
        is_harmless = kind in self.may_cause or (excused and not counts[kind])
        total = f"{counts[kind] + excused}"
        return f"({total})" if is_harmless else total


def table(reports: Sequence[Report]) -> str:
    """Return the table in Markdown, with a last row of all grants if there are several runs."""
    head = ["fault", "seconds", "grants", *COLUMNS.values(), "longest unavailability (s)", "seed"]
    rows = [head, ["---"] + ["--:"] * (len(head) - 1), *(report.cells() for report in reports)]
    if len(reports) > 1:
        seconds = f"{sum(report.seconds for report in reports):.0f}"
        grants = f"{sum(report.grants for report in reports):,}"
        rows.append(["all", seconds, grants, *[""] * (len(head) - 3)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
