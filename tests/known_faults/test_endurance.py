"""Random interruptions: of the main thread, of other threads, and of greenlets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.places import Place

SECONDS = 8
WITHIN = 55


@pytest.mark.long
@pytest.mark.parametrize("kind", ["signals", "threads", "gevent"])
@pytest.mark.timeout(90)
def test_random_interruptions_leave_nothing_behind(place: Place, kind: str) -> None:
    """Afterwards nothing is held, every name can be taken and renewed, and the process ends."""
    if kind == "gevent":
        pytest.importorskip("gevent")
    command = [sys.executable, "-m", "tests.known_faults.endurance", kind, str(SECONDS)]
    done = subprocess.run(
        [*command, place.url, place.prefix],
        capture_output=True, text=True, timeout=WITHIN, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
