"""A few seconds of each fault: nothing happens that no lock may do.

`python -m tests.faults` runs them for longer.
"""

from __future__ import annotations

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.faults import Fault
from tests.faults.report import Report
from tests.faults.run import run

# A wait that is late by less may be the fault of the machine.
EXACT = 1.0  # seconds
SECONDS = {"gevent-timeout": 2.0}
# The others are long.
CHEAP = {"none", "script-flush", "cancel"}


def run_shortly(fault: Fault) -> Report:
    return run(fault, SECONDS.get(fault.name, 1.0), seed=1, exact=EXACT)


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in CHEAP else [pytest.mark.long]) for name in FAULTS],
)
def test_nothing_is_wrong_under(name: str) -> None:
    report = run_shortly(FAULTS[name]())
    assert report.grants
    assert report.wrong == [], "\n".join(report.examples())


@pytest.mark.timeout(150)
def test_mistake_is_found() -> None:
    class SharedToken(Fault):
        operation = "share_token"

    report = run_shortly(SharedToken())
    assert report.counts["overlap"]
    assert any("none: overlaps: mutex-0: " in text for text in report.examples())
