"""A few seconds of each fault, without a violation by any lock.

`python -m tests.faults` runs the faults for longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import page
from tests.faults.catalogue import FAULTS
from tests.faults.causes.fault import Fault
from tests.faults.report import Report
from tests.faults.run import run
from tests.support import server_clock

ROOT = Path(__file__).parents[2]

# A smaller delay of a wait may be due to the machine.
EXACT = 1.0  # seconds
SECONDS = {"gevent-timeout": 2.0}
# A process, the data and the network fail in every run of the suite; the command below runs "none".
# The others are long: each takes six seconds of processor time.
CHEAP = {"kill", "flushall", "lose-replies"}


@pytest.fixture(autouse=True)
def _own_database(django_db_blocker: Any) -> Iterator[None]:
    """Allow runs to use their own databases, which pytest-django does not know."""
    with django_db_blocker.unblock():
        yield


def run_shortly(fault: Fault) -> Report:
    return run(fault, SECONDS.get(fault.name, 1.0), seed=1, exact=EXACT)


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in CHEAP else [pytest.mark.long]) for name in FAULTS],
)
def test_no_lock_causes_a_violation_under(name: str) -> None:
    if reason := FAULTS[name].missing():
        pytest.skip(reason)
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


@pytest.mark.timeout(150)
def test_command_writes_the_table(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"{page.BEGIN}\n{page.END}\n")
    arguments = ("--minutes", "0.02", "--fault", "none", "--seed", "7", "--write", str(path))
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *arguments],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "REDISLOCK_TEST_REDIS_URL"},
        capture_output=True,
        text=True,
        check=False,
    )
    # The command judges waits as on a quiet machine, but this machine may be busy.
    assert done.returncode in (0, 1), done.stderr
    written = path.read_text()
    assert "\n| none | " in written
    assert "\nRan on 2" in written
    assert written.removeprefix(page.BEGIN).removesuffix(f"{page.END}\n").strip() in done.stdout


def test_fault_that_needs_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_clock.shutil, "which", lambda name: None)
    assert "compiler" in FAULTS["clock"].missing()
    assert FAULTS["none"].missing() == ""


def test_page_names_every_fault() -> None:
    described = page.PAGE.read_text().partition("## The faults")[2]
    assert [name for name in FAULTS if f"`{name}`" not in described] == []
