"""Report of a run: its figures, what was wrong, and the table of many runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

from tests.faults.checker import ERROR, FENCE, INEXACT, OVERLAP, STARVED, Violation
from tests.faults.history import Event

LEFT = "left"
LONGEST = 4000  # characters of one example, which may hold the stacks of all threads
COLUMNS = {
    OVERLAP: "overlaps",
    FENCE: "fence regressions",
    LEFT: "holds left",
    STARVED: "starved",
    INEXACT: "inexact waits",
    ERROR: "undocumented errors",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of one run of a fault."""

    fault: str
    seed: int
    seconds: float
    grants: int
    longest_gap: float  # seconds in which nobody got anything
    found: list[Violation]
    allowed: frozenset[str] = frozenset()  # kinds that this fault may cause

    @property
    def counts(self) -> Counter[str]:
        """How many violations of each kind there are."""
        return Counter(violation.kind for violation in self.found)

    @property
    def wrong(self) -> list[Violation]:
        """What must not be."""
        return [violation for violation in self.found if violation.kind not in self.allowed]

    def examples(self, number: int = 3) -> list[str]:
        """Return the first violations of each kind."""
        shown = []
        for kind, column in COLUMNS.items():
            texts = [violation.text for violation in self.wrong if violation.kind == kind]
            shown += [f"{self.fault}: {column}: {text[:LONGEST]}" for text in texts[:number]]
        return shown


def grants_of(events: list[Event], until: int) -> tuple[int, float]:
    """Return how many grants there were, and the longest time (seconds) without one until then."""
    times = [event.at for event in events if event.kind == "acquired"]
    gaps = [after - before for before, after in pairwise(times) if after < until]
    return len(times), max(gaps, default=0) / 1e9


def table(reports: list[Report]) -> str:
    """Return the table in Markdown. What a fault may cause stands in brackets."""
    head = ["fault", "seconds", "grants", *COLUMNS.values(), "longest gap (s)", "seed"]
    rows = [head, ["---"] + ["--:"] * (len(head) - 1)]
    for report in reports:
        counts = [
            f"({report.counts[kind]})" if kind in report.allowed else str(report.counts[kind])
            for kind in COLUMNS
        ]
        figures = [f"{report.seconds:.0f}", f"{report.grants:,}", *counts]
        rows.append([report.fault, *figures, f"{report.longest_gap:.2f}", str(report.seed)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
